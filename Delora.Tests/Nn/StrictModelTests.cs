using System.Text.Json;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests.Nn;

/// <summary>What PEFT accepts and the extended mode refuses: the strict mode does what PEFT does.</summary>
public sealed class StrictModelTests
{
    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void ADropoutOfOneDropsAllAndGivesGradientsOfZero(string device)
    {
        foreach (AdapterConfig config in (AdapterConfig[])
            [PeftNetwork.Config with { ModuleDropout = 1 }, new LoraConfig { LoraDropout = 1, InitWeights = false, TargetModules = ModuleSelector.Of("lin0", "lin1") }])
        {
            using PeftNetwork network = new(device: TestDevices.Get(device));
            using var extended = new PeftModel(network);
            Assert.Throws<DeloraFormatException>(() => extended.AddAdapter(config, new Generator(2)));
            using var model = new PeftModel(network, PeftCompatibility.Strict);
            model.AddAdapter(config, new Generator(2));
            float[] adapted = network.Run();
            float[] plain;
            using (model.Disable()) plain = network.Run();
            Assert.NotEqual(plain, adapted);
            network.Train();
            Assert.Equal(plain, network.Run(), (a, b) => Math.Abs(a - b) <= 1e-6);
            using (var tape = new Tape())
            {
                Tensor x = Tensor.From(Enumerable.Repeat(0.5f, 20).ToArray(), [2, 10], network.Lin0.Device, "x");
                tape.Backward(network.Lin1.Forward(network.Lin0.Forward(x).Relu()).Mean());
            }
            Assert.All(model.TrainableParameters(), entry => Assert.All(entry.Parameter.Gradient!.ToArray<double>(), value => Assert.Equal(0, value)));
            network.Train(false);
            Assert.Equal(adapted, network.Run());
        }
    }

    [Fact]
    public void ASlashInANameIsAFolder()
    {
        using var folder = new TemporaryFolder();
        using PeftNetwork network = new();
        using var model = new PeftModel(network, PeftCompatibility.Strict);
        model.AddAdapter(PeftNetwork.Config, new Generator(2), "team/anna");
        float[] adapted = network.Run();
        Assert.All(model.TrainableParameters(), entry => Assert.EndsWith(".team/anna", entry.Name, StringComparison.Ordinal));
        model.Save(folder.Path);
        using PeftNetwork other = new();
        using var loaded = new PeftModel(other, PeftCompatibility.Strict);
        loaded.Load(folder.File("team/anna"), "team/ben");
        Assert.Equal(adapted, other.Run());
        // From the root it would be written outside of the folder; a dot PEFT refuses as well.
        foreach (string name in (string[])["/anna", "../anna", ""]) Assert.Throws<ArgumentException>(() => model.Rename("team/anna", name));
        using var extended = new PeftModel(new PeftNetwork());
        Assert.Throws<ArgumentException>(() => extended.AddAdapter(PeftNetwork.Config, new Generator(2), "team/anna"));
        extended.Base.Dispose();
    }

    [Fact]
    public void TheNamesOfRowsArePassedOverButForLora()
    {
        using PeftNetwork network = new();
        using (var model = new PeftModel(network, PeftCompatibility.Strict))
        {
            model.AddAdapter(PeftNetwork.Config, new Generator(2));
            float[] active = network.Run();
            foreach (string[] names in (string[][])[[PeftModel.BaseRow, "default", "default"], ["nobody"], []])
                using (model.Rows(names).Use()) Assert.Equal(active, network.Run());
            model.Merge();
            using (model.Rows(PeftModel.BaseRow).Use()) Assert.Equal(active, network.Run(), (a, b) => Math.Abs(a - b) < 1e-4);
        }
        using var lora = new PeftModel(network, PeftCompatibility.Strict);
        lora.AddAdapter(new LoraConfig { R = 2, InitWeights = false, TargetModules = ModuleSelector.Of("lin0", "lin1") }, new Generator(2));
        float[] adapted = network.Run(), plain;
        using (lora.Disable()) plain = network.Run();
        Assert.Throws<ArgumentException>(() => lora.Rows("nobody"));
        using (lora.Rows(PeftModel.BaseRow, "default", PeftModel.BaseRow).Use())
        {
            Assert.Equal([.. plain[..2], .. adapted[2..4], .. plain[4..]], network.Run(), (a, b) => Math.Abs(a - b) < 1e-5);
            network.Train();
            Assert.Throws<InvalidOperationException>(network.Run);
        }
    }

    [Fact]
    public void UnloadKeepsWhatTheActiveAdapterTrainedAsAWhole()
    {
        foreach (PeftCompatibility mode in Enum.GetValues<PeftCompatibility>())
        {
            using PeftNetwork network = new();
            float[] before = network.Weights();
            using var model = new PeftModel(network, mode);
            model.AddAdapter(PeftNetwork.Config with { ModulesToSave = ["heads.1"] }, new Generator(2), "a");
            var head = (Linear)network.GetModule("heads.1");
            head.Weight!.Value.CopyFrom<float>([1, 2, 3, 4, 5, 6, 7, 8]);
            model.Merge();
            model.Unload();
            using Tensor weight = head.CopyWeight();
            if (mode == PeftCompatibility.Strict) Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8], weight.ToArray<float>());
            else Assert.Equal(before, network.Weights());
        }
    }

    public static TheoryData<string, string> TiedModules =>
        new() { { "qwen2", "lm_head" }, { "qwen2", "embed_tokens" }, { "gpt2", "wte" } };

    /// <summary>PEFT copies the one module; the other goes on with the shared weight, and disabling, deleting and saving follow.</summary>
    [Theory, MemberData(nameof(TiedModules))]
    public void ModulesToSavePartTiedEmbeddings(string family, string module)
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
        using (var extended = new PeftModel(model))
            Assert.Throws<DeloraFormatException>(() => extended.AddAdapter(config, new Generator(1)));
        float[] plain = Logits(model);
        string fingerprint = model.Fingerprint();
        long parameters = model.Config.ParameterCount;
        List<string> warnings = [];
        using var peft = new PeftModel(model, PeftCompatibility.Strict, warnings.Add);
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
    public void BothOfTiedEmbeddingsAreTrainedApart()
    {
        using var folder = new TemporaryFolder();
        using CausalLanguageModel model = Create("qwen2");
        using var peft = new PeftModel(model, PeftCompatibility.Strict);
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

    [Fact]
    public void AModelThatIsGoneTakesItsPartedCopiesAlong()
    {
        CausalLanguageModel model = Create("qwen2");
        var peft = new PeftModel(model, PeftCompatibility.Strict);
        peft.AddAdapter(new DeloraConfig { R = 2, TargetModules = ModuleSelector.Of("q_proj"), ModulesToSave = ["lm_head"] }, new Generator(1));
        model.Dispose();
        peft.Dispose();
    }

    private static CausalLanguageModel Create(string family) =>
        family == "gpt2" ? TinyGPT2.Create() : TinyDecoders.Create(TinyDecoders.All[family]);

    private static float[] Logits(CausalLanguageModel model)
    {
        using var scope = new TensorScope();
        return model.Forward(TinyLlama.Ids([2, 5], model.Device)).ToArray<float>();
    }
}
