using System.Text.Json;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests.Nn;

/// <summary><c>modules_to_save</c> where an output layer and the embedding share a weight.</summary>
public sealed class TiedEmbeddingsTests
{
    public static TheoryData<string, string> TiedModules =>
        new() { { "qwen2", "lm_head" }, { "qwen2", "embed_tokens" }, { "gpt2", "wte" } };

    /// <summary>PEFT copies the one module; the other goes on with the shared weight, and disabling, deleting and saving follow.</summary>
    [Theory, MemberData(nameof(TiedModules))]
    public void ACopyOfOnePartsThem(string family, string module)
    {
        foreach (PeftCompatibility mode in Enum.GetValues<PeftCompatibility>()) CopyOne(family, module, mode);
    }

    private static void CopyOne(string family, string module, PeftCompatibility mode)
    {
        // GPT-2's other layers are no linear layers to PEFT.
        DeloraConfig config = new()
        {
            R = 2,
            DeloraLambda = 2,
            TargetModules = ModuleSelector.Of(family == "gpt2" ? "lm_head" : "q_proj"),
            ModulesToSave = [module],
        };
        using var folder = new TemporaryFolder();
        using CausalLanguageModel model = Create(family);
        float[] plain = Logits(model);
        string fingerprint = model.Fingerprint();
        long parameters = model.Config.ParameterCount;
        List<string> warnings = [];
        using var peft = new PeftModel(model, mode, warnings.Add);
        peft.AddAdapter(config, new Generator(1));
        Assert.Contains(warnings, warning => warning.Contains("tied embeddings", StringComparison.Ordinal));
        Assert.Equal(plain, Logits(model), (a, b) => Math.Abs(a - b) < 1e-5);
        (string name, Parameter copy) = Assert.Single(peft.TrainableParameters(), entry => entry.Name.Contains(".modules_to_save.default.", StringComparison.Ordinal));
        Assert.Equal(parameters + peft.AdaptedLayers.SelectMany(pair => pair.Layer.Adapters["default"].Parameters).Sum(p => p.Parameter.Shape.ElementCount)
            + copy.Shape.ElementCount, peft.CountParameters().All);

        // Trained, it differs; the shared weight does not.
        Tensor ids = TinyLlama.Ids([2, 5], model.Device);
        using (var optimizer = new AdamW(peft.TrainableParameters().Select(entry => entry.Parameter), 0.05))
            for (int step = 0; step < 2; step++)
            {
                optimizer.ZeroGradients();
                using var tape = new Tape();
                tape.Backward(model.Loss(ids, ids));
                Assert.NotNull(copy.Gradient);
                optimizer.Step();
            }
        ids.Dispose();
        float[] trained = Logits(model);
        Assert.NotEqual(plain, trained, (a, b) => Math.Abs(a - b) < 1e-4);
        using (peft.Disable())
        {
            Assert.Equal(plain, Logits(model));
            Assert.Equal(fingerprint, model.Fingerprint());
        }
        peft.Save(folder.File("adapter"));
        using (SafetensorsFile file = PeftModel.OpenWeights(folder.File("adapter")))
            Assert.Contains(file.Entries, entry => entry.Name == name.Replace(".modules_to_save.default", "", StringComparison.Ordinal));
        peft.Delete("default");
        Assert.Equal(plain, Logits(model));
        Assert.Equal(fingerprint, model.Fingerprint());
        peft.Load(folder.File("adapter"));
        Assert.Equal(trained, Logits(model));

        // Merged, there are two weights: written both, with a configuration that says so. PEFT leaves that to the user.
        peft.MergeAndUnload();
        Assert.Equal(trained, Logits(model), (a, b) => Math.Abs(a - b) < 1e-4);
        model.Save(folder.File("merged"));
        using (JsonDocument written = JsonDocument.Parse(File.ReadAllBytes(folder.File("merged/config.json"))))
            Assert.False(written.RootElement.GetProperty("tie_word_embeddings").GetBoolean());
        using CausalLanguageModel again = CausalLanguageModel.Load(folder.File("merged"), Devices.Cpu, strict: true);
        Assert.Equal(Logits(model), Logits(again));
    }

    [Fact]
    public void BothAreTrainedApart()
    {
        using var folder = new TemporaryFolder();
        using CausalLanguageModel model = Create("qwen2");
        using var peft = new PeftModel(model);
        peft.AddAdapter(new DeloraConfig { R = 2, TargetModules = ModuleSelector.Of("q_proj"), ModulesToSave = ["lm_head", "embed_tokens"] }, new Generator(1));
        Parameter[] copies = [.. peft.TrainableParameters().Where(entry => entry.Name.Contains("modules_to_save")).Select(entry => entry.Parameter)];
        Assert.Equal(2, copies.Length);
        foreach ((int i, Parameter copy) in copies.Index())
            copy.Value.CopyFrom<float>([.. copy.Value.ToArray<float>().Select(value => value * (i + 2))]);
        float[] logits = Logits(model);
        // As it computes now: with both.
        model.Save(folder.File("now"));
        using (CausalLanguageModel now = CausalLanguageModel.Load(folder.File("now"), Devices.Cpu, strict: true))
            Assert.NotEqual(Logits(now), [.. Logits(now).Select(_ => 0f)]);
        peft.MergeAndUnload();
        Assert.Equal(logits, Logits(model), (a, b) => Math.Abs(a - b) < 1e-4);
        Assert.Equal(2, model.NamedState().Count(entry => entry.Name is "lm_head.weight" or "model.embed_tokens.weight"));
    }

    /// <summary>An adapter on one of the two, or each its own: merged for good the model computes what it did, in PEFT's way it does not.</summary>
    [Theory]
    [InlineData("qwen2", "lm_head", PeftCompatibility.Extended), InlineData("qwen2", "embed_tokens", PeftCompatibility.Extended)]
    [InlineData("qwen2", "lm_head,embed_tokens,q_proj", PeftCompatibility.Extended), InlineData("gpt2", "wte", PeftCompatibility.Extended)]
    [InlineData("qwen2", "lm_head,q_proj", PeftCompatibility.Strict)]
    public void MergingForGoodPartsThem(string family, string targets, PeftCompatibility mode)
    {
        PartForGood(family, targets, mode, mergesBefore: false);
        // Merged for a while, one of the two changes both; of both it cannot be.
        if (!targets.Contains("lm_head,embed_tokens", StringComparison.Ordinal)) PartForGood(family, targets, mode, mergesBefore: true);
    }

    private static void PartForGood(string family, string targets, PeftCompatibility mode, bool mergesBefore)
    {
        using var folder = new TemporaryFolder();
        using CausalLanguageModel model = Create(family);
        using var peft = new PeftModel(model, mode);
        DeloraConfig config = new() { R = 2, DeloraLambda = 3, InitWeights = false, TargetModules = targets.Split(',') };
        peft.AddAdapter(config, new Generator(1));
        float[] before = Logits(model);
        if (mergesBefore) peft.Merge();
        List<string> warnings = [];
        peft.Warn = warnings.Add;
        peft.MergeAndUnload();
        // An adapter that sits on a parted layer alone is merged as well.
        if (!mergesBefore) Assert.Empty(warnings);
        bool isStrict = mode == PeftCompatibility.Strict;
        if (isStrict) Assert.NotEqual(before, Logits(model), (a, b) => Math.Abs(a - b) < 1e-4);
        else Assert.Equal(before, Logits(model), (a, b) => Math.Abs(a - b) < 1e-4);
        model.Save(folder.File("merged"));
        using (JsonDocument written = JsonDocument.Parse(File.ReadAllBytes(folder.File("merged/config.json"))))
            Assert.Equal(isStrict && family != "gpt2", !written.RootElement.TryGetProperty("tie_word_embeddings", out JsonElement tied) || tied.GetBoolean());
        using CausalLanguageModel again = CausalLanguageModel.Load(folder.File("merged"), Devices.Cpu, strict: true);
        Assert.Equal(Logits(model), Logits(again));
    }

    /// <summary>NaN, a weight that is quantized, and an element that float16 does not hold.</summary>
    [Theory, InlineData(FrozenStorage.Float32), InlineData(FrozenStorage.Int8), InlineData(FrozenStorage.Float16)]
    public void MergingATiedLayerForGoodIsAllOrNothing(FrozenStorage storage)
    {
        bool quantized = storage == FrozenStorage.Int8;
        using CausalLanguageModel model = Create("qwen2");
        FrozenWeightOptions kept = new() { Storage = storage };
        using var folder = new TemporaryFolder();
        model.Save(folder.File("model"));
        using CausalLanguageModel loaded = CausalLanguageModel.Load(folder.File("model"), Devices.Cpu, frozen: kept);
        using var peft = new PeftModel(loaded);
        ModuleSelector targets = ModuleSelector.Of("lm_head", "q_proj");
        if (storage == FrozenStorage.Float16)
        {
            peft.AddAdapter(new LoraConfig { R = 1, LoraAlpha = 1, TargetModules = targets }, new Generator(1));
            LinearAdapter onHead = peft.AdaptedLayers.Single(pair => pair.Name == "lm_head").Layer.Adapters["default"];
            foreach ((int i, (_, Parameter parameter)) in onHead.Parameters.Index()) Fill(parameter.Value, i == 0 ? 1 : 70_000);
        }
        else peft.AddAdapter(new DeloraConfig { R = 2, DeloraLambda = 3, InitWeights = false, TargetModules = targets }, new Generator(1));
        if (storage == FrozenStorage.Float32) Fill(peft.AdaptedLayers.First().Layer.Adapters["default"].Parameters.First().Parameter.Value, float.NaN);
        string fingerprint = loaded.Fingerprint();
        Assert.ThrowsAny<DeloraException>(() => peft.MergeAndUnload());
        Assert.Equal(fingerprint, loaded.Fingerprint());
        Assert.Empty(peft.MergedAdapters);
        if (!quantized) return;
        float[] before = Logits(loaded);
        peft.MergeAndUnload(dequantize: true);
        Assert.Equal(before, Logits(loaded), (a, b) => Math.Abs(a - b) < 1e-4);
    }

    [Fact]
    public void AModelThatIsGoneTakesItsPartedCopiesAlong()
    {
        CausalLanguageModel model = Create("qwen2");
        var peft = new PeftModel(model);
        peft.AddAdapter(new DeloraConfig { R = 2, TargetModules = ModuleSelector.Of("q_proj"), ModulesToSave = ["lm_head"] }, new Generator(1));
        model.Dispose();
        peft.Dispose();
    }

    private static void Fill(Tensor tensor, float value) => tensor.CopyFrom<float>([.. Enumerable.Repeat(value, (int)tensor.ElementCount)]);

    private static CausalLanguageModel Create(string family) =>
        family == "gpt2" ? TinyGPT2.Create() : TinyDecoders.Create(TinyDecoders.All[family]);

    private static float[] Logits(CausalLanguageModel model)
    {
        using var scope = new TensorScope();
        return model.Forward(TinyLlama.Ids([2, 5], model.Device)).ToArray<float>();
    }
}
