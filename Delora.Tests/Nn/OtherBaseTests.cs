using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests.Nn;

/// <summary>An adapter that meets other weights than those it was trained on.</summary>
public sealed class OtherBaseTests
{
    [Theory]
    [InlineData(PeftCompatibility.Extended, 7, 1f, false), InlineData(PeftCompatibility.Extended, 7, 3f, true)]
    [InlineData(PeftCompatibility.Extended, 7, 1.02f, false), InlineData(PeftCompatibility.Extended, 8, 1f, true)]
    [InlineData(PeftCompatibility.Strict, 7, 3f, false)]
    public void IsWarnedOf(PeftCompatibility mode, int seed, float scale, bool warned)
    {
        using var folder = new TemporaryFolder();
        using (var model = DecoderForCausalLM.New(TinyLlama.Config, Devices.Cpu, new Generator(7)))
        using (var trained = new PeftModel(model))
        {
            trained.AddAdapter(new DeloraConfig { R = 2 }, new Generator(1));
            trained.Save(folder.File("adapter"));
        }
        using var other = DecoderForCausalLM.New(TinyLlama.Config, Devices.Cpu, new Generator((ulong)seed));
        ModuleState weight = other.NamedState().Single(entry => entry.Name == "model.layers.1.self_attn.v_proj.weight").State;
        using (Tensor value = weight.Read())
        {
            value.CopyFrom<float>([.. value.ToArray<float>().Select(x => scale * x)]);
            weight.Write(value);
        }
        List<string> warnings = [];
        using var peft = new PeftModel(other, mode, warnings.Add);
        peft.Load(folder.File("adapter"));
        if (!warned)
        {
            Assert.Empty(warnings);
            return;
        }
        string warning = Assert.Single(warnings);
        Assert.StartsWith(Path.Combine(folder.File("adapter"), PeftModel.WeightsFileName), warning, StringComparison.Ordinal);
        // A third of the weight: 2/3 of it is missing.
        if (seed == 7) Assert.EndsWith("in 1 of 4 layers w, the norms of its weights' columns, is not that of the weights here; in "
            + "'model.layers.1.self_attn.v_proj' it differs by 67 %.", warning, StringComparison.Ordinal);
    }
}
