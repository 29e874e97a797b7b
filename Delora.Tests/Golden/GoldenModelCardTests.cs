using Delora.Nn;

namespace Delora.Tests.Golden;

/// <summary>The front matter of the model card, by PEFT, for models of every architecture: also those that cannot be computed here.</summary>
[Trait("Category", "Golden")]
public sealed class GoldenModelCardTests
{
    public static TheoryData<string> Cases => GoldenCases.Find(GoldenCases.Root, "models");

    [Theory, MemberData(nameof(Cases))]
    public void TheFrontMatterIsPefts(string name)
    {
        GoldenCase golden = GoldenCases.Model(name);
        AdapterConfig config = AdapterConfig.Load(Path.Combine(golden.Folder, "adapter_single", AdapterConfig.FileName));
        string card = ModelCard.Compose(null, [(PeftModel.DefaultAdapter, config)], isTransformers: true);
        Assert.StartsWith($"---\n{golden.Json.GetProperty("model_card_front_matter").GetString()}\n---\n", card);
    }
}
