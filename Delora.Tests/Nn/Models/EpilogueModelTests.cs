using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn.Models;

/// <summary>
/// GPT-2, whose products end with the activation and with what goes around them, beside the same modules with functions of their own for both:
/// the same loss and the same gradients, on the CPU to the bit.
/// </summary>
public sealed class EpilogueModelTests
{
    private const int Batch = 2, Length = 5, Hidden = 24, Heads = 2, Layers = 2;

    private static readonly string[] s_variants = ["adapters", "dropout", "several", "checkpointing", "all weights"];

    public static TheoryData<string, string> Cases => TestDevices.Names.With(s_variants);

    [Theory, MemberData(nameof(Cases))]
    public void LossAndGradientsAreThoseOfSeparateFunctions(string name, string variant)
    {
        Device device = TestDevices.Get(name);
        Assert.SkipWhen(name == "simulator" && variant is "several" or "checkpointing", "the simulator is slow");
        double[][] fused = Step(device, variant, (model, ids, targets) => model.Loss(ids, targets)), apart = Step(device, variant, Apart);
        Assert.Equal(apart.Length, fused.Length);
        for (int i = 0; i < fused.Length; i++)
        {
            if (device is CpuDevice) Assert.Equal(apart[i], fused[i]);
            double scale = Math.Max(1e-3, apart[i].Max(Math.Abs));
            Assert.Equal(apart[i], fused[i], (a, b) => Math.Abs(a - b) <= 1e-4 * scale);
        }
        Assert.Contains(fused.Skip(1), gradient => gradient.Any(number => number != 0));
    }

    /// <summary>The loss, and all gradients in the order of the parameters.</summary>
    private static double[][] Step(Device device, string variant, Func<GPT2LMHeadModel, Tensor, Tensor, Tensor> loss)
    {
        GPT2Config config = new()
        {
            VocabSize = 19,
            HiddenSize = Hidden,
            NumHiddenLayers = Layers,
            NumAttentionHeads = Heads,
            MaxPositionEmbeddings = 8,
            InitializerRange = 0.3,
        };
        using GPT2LMHeadModel model = GPT2LMHeadModel.Create(config, device, new Generator(1));
        using PeftModel? peft = variant == "all weights" ? null : new(model);
        if (peft is not null)
        {
            DeloraConfig delora = new() { R = 3, InitWeights = false, TargetModules = ModuleSelector.AllLinear };
            if (variant is "dropout" or "several") delora = delora with { ModuleDropout = 0.2 };
            peft.AddAdapter(delora, new Generator(2), "one");
            if (variant == "several")
            {
                peft.AddAdapter(delora with { R = 2, ModuleDropout = 0 }, new Generator(3), "two");
                peft.Activate("one", "two");
            }
        }
        model.Checkpointing = variant == "checkpointing";
        model.Train();
        Parameter[] trained = [.. peft?.TrainableParameters().Select(entry => entry.Parameter) ?? model.NamedParameters().Select(entry => entry.Parameter)];
        int[] tokens = [.. Enumerable.Range(0, Batch * Length).Select(i => i * 7 % 19)], labels = [.. tokens.Select(token => (token + 5) % 19)];
        using Tape tape = new();
        Tensor value = loss(model, Tensor.FromIndices(tokens, [Batch, Length], device, "ids"), Tensor.FromIndices(labels, [Batch, Length], device, "labels"));
        tape.Backward(value);
        return [value.ToArray<double>(), .. trained.Select(parameter => parameter.Gradient?.ToArray<double>() ?? [])];
    }

    private static Tensor Apart(GPT2LMHeadModel model, Tensor ids, Tensor targets)
    {
        Tensor positions = Tensor.FromIndices([.. Enumerable.Range(0, Batch * Length).Select(i => i % Length)], [Batch, Length], ids.Device, "positions");
        Tensor x = Get<Embedding>("wte").Forward(ids).Add(Get<Embedding>("wpe").Forward(positions));
        for (int i = 0; i < Layers; i++)
        {
            Tensor[] parts = Get<Linear>($"h.{i}.attn.c_attn").Forward(Get<LayerNorm>($"h.{i}.ln_1").Forward(x)).Split(2, Hidden, Hidden, Hidden);
            Tensor[] heads = [.. parts.Select(part => part.Reshape([Batch, Length, Heads, Hidden / Heads]))];
            Tensor y = heads[0].Attention(heads[1], heads[2], causal: true, keys: Length).Reshape([Batch, Length, Hidden]);
            x = x.Add(Get<Linear>($"h.{i}.attn.c_proj").Forward(y));
            Tensor inner = Get<Linear>($"h.{i}.mlp.c_fc").Forward(Get<LayerNorm>($"h.{i}.ln_2").Forward(x)).GeluTanh();
            x = x.Add(Get<Linear>($"h.{i}.mlp.c_proj").Forward(inner));
        }
        return ((Linear)model.GetModule("lm_head")).CrossEntropy(Get<LayerNorm>("ln_f").Forward(x), targets);

        T Get<T>(string module) where T : Module => (T)model.GetModule($"transformer.{module}");
    }
}
