using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Golden;

/// <summary>The vectors of an encoder without its head: with the head's arithmetic done here they are the logits that transformers computed.</summary>
[Trait("Category", "Golden")]
public sealed class GoldenEncoderTests
{
    [Theory, MemberData(nameof(GoldenCases.Models), MemberType = typeof(GoldenCases))]
    public void TheHeadOverTheVectorsGivesTheLogits(string name)
    {
        GoldenCase golden = GoldenCases.Model(name);
        string folder = Path.Combine(golden.Folder, "base");
        Assert.SkipUnless(ModelConfig.Load(folder) is EncoderConfig { Head: EncoderHead.SequenceClassification }, $"{name} is no classifier");
        using PretrainedModel classifier = PretrainedModel.Load(folder, Devices.Reference);
        using TextEncoder encoder = TextEncoder.Load(folder, Devices.Reference);
        using var scope = new TensorScope("test");
        Dictionary<string, Tensor> head = classifier.NamedState().Where(entry => entry.Name.StartsWith("classifier.", StringComparison.Ordinal))
            .ToDictionary(entry => entry.Name["classifier.".Length..], entry => entry.State.Read());
        int rows = golden["input_ids"].Shape[0];
        EncodedBatch batch = EncodedBatch.From(
            golden["input_ids"].Integers, golden["attention_mask"].Integers, golden.Has("token_type_ids") ? golden["token_type_ids"].Integers : null, rows);
        Tensor vectors = encoder.Embed(batch, encoder.Config.HasPooler ? Pooling.Pooler : Pooling.Cls, normalize: false);
        golden.AssertClose("logits_base", head.ContainsKey("out_proj.weight")
            ? Apply("out_proj", Apply("dense", vectors).Tanh())
            : vectors.Linear(head["weight"], head["bias"]));
        Assert.Equal(head.ContainsKey("out_proj.weight"), !encoder.Config.HasPooler);

        Tensor Apply(string layer, Tensor x) => x.Linear(head[$"{layer}.weight"], head[$"{layer}.bias"]);
    }
}
