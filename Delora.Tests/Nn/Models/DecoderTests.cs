using System.Text.Json;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Ops;

namespace Delora.Tests.Nn.Models;

/// <summary>The families that share the decoder: against plain loops, against each other, and with a cache.</summary>
public sealed class DecoderTests
{
    private const int Vocabulary = 37;

    /// <summary>Padding: none, on the right, on the left, and on both sides.</summary>
    private static readonly int[][] s_masks = [[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 0]];

    public static TheoryData<string> Families => TinyDecoders.Names;

    [Theory, MemberData(nameof(Families))]
    public void EveryFamilyComputesWhatPlainLoopsDo(string name)
    {
        DecoderConfig config = TinyDecoders.All[name];
        using DecoderForCausalLM model = TinyDecoders.Create(config, Devices.Reference);
        var plain = new PlainDecoder(model, config)
        {
            // From what the name says, not from what the configuration makes of it.
            Window = layer => (name, layer) switch
            {
                ("mistral", _) => 4,
                ("qwen2, window in the last layer", 1) => 3,
                ("qwen3, window in the first layer", 0) => 2,
                _ => null,
            },
            Frequency = name == "llama, yarn" ? i => Yarn(config, i) : i => Math.Pow(config.RopeTheta, -2.0 * i / (config.HeadDim ?? 6)),
            IsGemma = name == "gemma",
            CosineFactor = name == "llama, yarn" ? 1 + 0.1 * Math.Log(4) : 1,
        };
        using var scope = new TensorScope("test");
        int seq = s_masks[0].Length;
        int[] ids = TinyLlama.Ids([s_masks.Length, seq], Devices.Reference).ToArray<int>(), mask = [.. s_masks.SelectMany(row => row)];
        Shape shape = [s_masks.Length, seq];
        double[] logits = model.Forward(Tensor.From(ids, shape, Devices.Reference), Tensor.From(mask, shape, Devices.Reference)).ToArray<double>();
        for (int b = 0; b < s_masks.Length; b++)
        {
            double[] expected = plain.Logits(ids[(b * seq)..((b + 1) * seq)], s_masks[b]);
            for (int t = 0; t < seq; t++)
            {
                if (s_masks[b][t] == 0) continue;
                OpTesting.Close(Row(expected, t), Row(logits, b * seq + t), 2e-5);
            }
        }
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void EveryDeviceComputesWhatTheReferenceDoes(string name)
    {
        foreach (string family in (string[])["gemma", "mistral", "qwen2, window in the last layer", "qwen3, window in the first layer"])
            LanguageModelTesting.DeviceAgreesWithReference(
                device => TinyDecoders.Create(TinyDecoders.All[family], device), TestDevices.Get(name), seq: 6, 5e-5);
    }

    [Theory, MemberData(nameof(Families))]
    public void ACacheGivesWhatTheWholeSequenceGives(string name)
    {
        using DecoderForCausalLM model = TinyDecoders.Create(TinyDecoders.All[name]);
        LanguageModelTesting.CacheAgreesWithTheWholeSequence(model, padded: true);
    }

    [Fact]
    public void AWindowChangesWhatIsBehindItAndNothingElse()
    {
        using var scope = new TensorScope("test");
        Tensor ids = TinyLlama.Ids([1, 12], Devices.Cpu);
        float[] windowed = Logits(TinyDecoders.Mistral), free = Logits((MistralConfig)TinyDecoders.Mistral with { SlidingWindow = null });
        Assert.Equal(free[..(4 * Vocabulary)], windowed[..(4 * Vocabulary)]);
        Assert.NotEqual(free[(4 * Vocabulary)..(5 * Vocabulary)], windowed[(4 * Vocabulary)..(5 * Vocabulary)]);
        Assert.Equal(free, Logits((MistralConfig)TinyDecoders.Mistral with { SlidingWindow = 12 }));

        float[] Logits(DecoderConfig config)
        {
            using DecoderForCausalLM model = TinyDecoders.Create(config);
            return model.Forward(ids).ToArray<float>();
        }
    }

    [Fact]
    public void FamiliesWithTheSameSettingsComputeTheSame()
    {
        using var scope = new TensorScope("test");
        using LlamaForCausalLM llama = TinyLlama.Create();
        Tensor ids = TinyLlama.Ids([2, 9], Devices.Cpu);
        float[] expected = llama.Forward(ids).ToArray<float>();
        DecoderConfig mistral = (MistralConfig)TinyDecoders.Mistral with { SlidingWindow = null };
        DecoderConfig qwen2 = TinyDecoders.Qwen2 with { TieWordEmbeddings = false, RopeTheta = 10000 };
        foreach (DecoderConfig config in (DecoderConfig[])[mistral, qwen2])
        {
            // Biases of zeros.
            using DecoderForCausalLM other = DecoderForCausalLM.New(config, Devices.Cpu, new Generator(1));
            other.Freeze();
            Dictionary<string, ModuleState> to = other.NamedState().ToDictionary(entry => entry.Name, entry => entry.State);
            foreach ((string name, ModuleState state) in llama.NamedState()) to[name].Write(state.Read());
            Assert.Equal(expected, other.Forward(ids).ToArray<float>());
        }
    }

    [Theory, InlineData("qwen2, window in the last layer"), InlineData("qwen3, window in the first layer"), InlineData("gemma")]
    public void GradientsOfAllWeightsMatchNumericalDifferentiation(string name)
    {
        DecoderConfig config = TinyDecoders.All[name] with
        {
            HiddenSize = 8,
            IntermediateSize = 6,
            NumAttentionHeads = 2,
            NumKeyValueHeads = 1,
            HeadDim = 4,
            VocabSize = Vocabulary,
        };
        using DecoderForCausalLM model = TinyDecoders.Create(config, Devices.Reference, freeze: false);
        LanguageModelTesting.GradientsMatchNumericalDifferentiation(model, seq: 5, padded: true);
    }

    [Theory, MemberData(nameof(Families))]
    public void ModulesAndTensorsHaveTheNamesOfTransformers(string name)
    {
        DecoderConfig config = TinyDecoders.All[name];
        using DecoderForCausalLM model = TinyDecoders.Create(config, freeze: false);
        LanguageModelTesting.TensorsAreThoseOfTheConfiguration(model);
        string[] own = [.. config.TensorShapes().Keys.Where(key => key.StartsWith("model.layers.1.self_attn.", StringComparison.Ordinal))
            .Select(key => key["model.layers.1.self_attn.".Length..])
            .Where(key => !key.EndsWith("proj.weight", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
        Assert.Equal(name switch
        {
            "llama" => ["k_proj.bias", "o_proj.bias", "q_proj.bias", "v_proj.bias"],
            "qwen2" or "qwen2, window in the last layer" => ["k_proj.bias", "q_proj.bias", "v_proj.bias"],
            "qwen3" => ["k_norm.weight", "q_norm.weight"],
            "qwen3, window in the first layer" => ["k_norm.weight", "k_proj.bias", "o_proj.bias", "q_norm.weight", "q_proj.bias", "v_proj.bias"],
            _ => (string[])[],
        }, own);
    }

    [Theory, MemberData(nameof(Families))]
    public void DefaultTargetsAreThoseOfPeft(string name)
    {
        DecoderConfig config = TinyDecoders.All[name];
        using DecoderForCausalLM model = TinyDecoders.Create(config);
        using JsonDocument defaults = JsonDocument.Parse(
            File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "Golden", "Data", "targets", "default_target_modules.json")));
        string[] expected = [.. defaults.RootElement.GetProperty("model_type_to_target_modules").GetProperty(config.ModelType).EnumerateArray()
            .Select(target => target.GetString()!)];
        using var peft = new PeftModel(model);
        peft.AddAdapter(new DeloraConfig { R = 2 }, new Generator(1));
        Assert.Equal(Enumerable.Range(0, 2).SelectMany(i => expected.Select(target => $"model.layers.{i}.self_attn.{target}")),
            peft.AdaptedLayers.Select(pair => pair.Name));
    }

    /// <summary>YaRN for a factor of 4 from 8 positions, beta_fast 2, beta_slow 1, heads of 6 with θ = 10000: the ramp is from 0 to 1.</summary>
    private static double Yarn(DecoderConfig config, int i)
    {
        double plain = Math.Pow(config.RopeTheta, -2.0 * i / 6);
        return i == 0 ? plain : plain / 4;
    }

    private static double[] Row(double[] logits, int row) => logits[(row * Vocabulary)..((row + 1) * Vocabulary)];
}
