using System.Text.Json;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn;

public sealed class PeftModelTests : IDisposable
{
    private static readonly Device s_device = Devices.Cpu;

    private readonly string _folder = Directory.CreateTempSubdirectory("delora-peft-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void TheResidualInitializationStartsAsTheBaseModelAndTrains()
    {
        using Network network = new(seed: 1);
        using Tensor x = Input();
        float[] before = Run(network, x);
        using var model = new PeftModel(network);
        model.AddAdapter(new DeloraConfig { R = 3, DeloraLambda = 4, TargetModules = ModuleSelector.AllLinear, ResidualInitialization = true }, new Generator(2));
        Assert.Equal(before, Run(network, x), (a, b) => Math.Abs(a - b) < 1e-5);
        Assert.All(model.BoundReport().Layers, entry => Assert.InRange(entry.Norm, 0, 1e-5 * entry.Bound!.Value));
        TrainABit(network, model, x);
        Assert.All(model.BoundReport().Layers, entry => Assert.InRange(entry.Norm, 1e-3, entry.Bound!.Value * (1 + 1e-5)));
    }

    [Fact]
    public void GradientsOfEveryKindOfAdapterAreRight()
    {
        using var generatorScope = new TensorScope();
        foreach (AdapterConfig config in (AdapterConfig[])
            [
                new DeloraConfig { R = 2, DeloraLambda = 3, TargetModules = ModuleSelector.AllLinear, InitWeights = false },
                new DeloraConfig { R = 2, DeloraLambda = 3, TargetModules = ModuleSelector.AllLinear, ResidualInitialization = true },
                new LoraConfig { R = 2, LoraAlpha = 5, TargetModules = ModuleSelector.AllLinear, InitWeights = false },
            ])
        {
            using Network network = new(seed: 1, Devices.Reference);
            using Tensor x = Input(Devices.Reference);
            using var model = new PeftModel(network);
            model.AddAdapter(config, new Generator(3));
            model.AddAdapter(config with { R = 1 }, new Generator(4), "second");
            model.Activate("default", "second");
            GradientCheck.Numerical(() => network.Forward(x), [.. model.TrainableParameters().Select(pair => pair.Parameter)], step: 1e-6, tolerance: 1e-5);
        }
    }

    [Theory, InlineData("delora"), InlineData("residual"), InlineData("lora")]
    public void ASavedAdapterComputesTheSameBits(string kind)
    {
        AdapterConfig config = kind switch
        {
            "lora" => new LoraConfig { R = 3, LoraAlpha = 6, TargetModules = ModuleSelector.Of("lin0", "lin1") },
            _ => new DeloraConfig { R = 3, DeloraLambda = 5, TargetModules = ModuleSelector.Of("lin0", "lin1"), ResidualInitialization = kind == "residual" },
        };
        using Tensor x = Input();
        float[] trained;
        using (Network network = new(seed: 1))
        using (var model = new PeftModel(network))
        {
            model.AddAdapter(config, new Generator(2));
            TrainABit(network, model, x);
            trained = Run(network, x);
            model.Save(_folder);
        }
        using Network fresh = new(seed: 1);
        using var loaded = new PeftModel(fresh);
        loaded.Load(_folder);
        Assert.Equal(trained, Run(fresh, x));
        Assert.True(loaded.Configs["default"].InferenceMode);
        Assert.Equal(kind == "residual" ? 6 : 3, loaded.Configs["default"].R);
    }

    [Fact]
    public void MergingComputesTheSameAndUnmergingRestoresTheBits()
    {
        using Network network = new(seed: 1);
        using Tensor x = Input();
        using var model = new PeftModel(network);
        model.AddAdapter(new DeloraConfig { R = 4, DeloraLambda = 2, TargetModules = ModuleSelector.AllLinear, InitWeights = false }, new Generator(5));
        float[] weights = Weights(network), adapted = Run(network, x);
        model.Merge();
        Assert.Equal(adapted, Run(network, x), (a, b) => Math.Abs(a - b) < 1e-5 * Math.Max(1, Math.Abs(a)));
        Assert.NotEqual(weights, Weights(network));
        using (Tensor norms = network.Lin0.Adapters.BaseColumnNorms())
            Assert.Equal(((DeloraAdapter)network.Lin0.Adapters["default"]).ColumnNorms.ToArray<float>(), norms.ToArray<float>());
        var warnings = new List<string>();
        model.Warn = warnings.Add;
        float[] merged = Weights(network);
        model.Merge();
        Assert.Equal(merged, Weights(network));
        Assert.Contains("already merged", Assert.Single(warnings));
        model.Unmerge();
        Assert.Equal(weights, Weights(network));
        Assert.Equal(adapted, Run(network, x));
    }

    [Fact]
    public void AMergeThatWouldGiveNonFiniteWeightsIsRefusedAndChangesNothing()
    {
        using Network network = new(seed: 1);
        using var model = new PeftModel(network);
        model.AddAdapter(new DeloraConfig { R = 2, DeloraLambda = 2, TargetModules = ModuleSelector.AllLinear, InitWeights = false }, new Generator(5));
        float[] weights = Weights(network);
        ((DeloraAdapter)network.Lin1.Adapters["default"]).Lambda.Value.CopyFrom<float>([float.PositiveInfinity]);
        Assert.Throws<NonFiniteException>(() => model.Merge());
        Assert.Equal(weights, Weights(network));
        Assert.Empty(network.Lin0.Adapters.Merged);
    }

    [Fact]
    public void DisablingGivesTheBaseModelAndSeveralAdaptersAddUp()
    {
        using Network network = new(seed: 1);
        using Tensor x = Input();
        float[] plain = Run(network, x);
        using var model = new PeftModel(network);
        var config = new DeloraConfig { R = 2, DeloraLambda = 2, TargetModules = ModuleSelector.Of("lin1"), InitWeights = false };
        model.AddAdapter(config, new Generator(5), "a");
        float[] a = Run(network, x);
        model.AddAdapter(config with { R = 3 }, new Generator(6), "b");
        float[] b = Run(network, x);
        model.Activate("a", "b");
        float[] both = Run(network, x);
        for (int i = 0; i < both.Length; i++) Assert.Equal(a[i] + b[i] - plain[i], both[i], 1e-4);
        using (model.Disable()) Assert.Equal(plain, Run(network, x));
        Assert.Equal(both, Run(network, x));
        model.Delete("b");
        model.Activate("a");
        Assert.Equal(a, Run(network, x));
        Assert.Throws<ArgumentException>(() => model.Activate("b"));
        Assert.Throws<ArgumentException>(() => model.AddAdapter(config, new Generator(1), "a"));
        Assert.Throws<ArgumentException>(() => model.AddAdapter(config, new Generator(1), "../a"));
    }

    [Fact]
    public void ModulesToSaveAreTrainedSavedAndPutBack()
    {
        var config = new DeloraConfig { R = 2, DeloraLambda = 2, TargetModules = ModuleSelector.Of("lin0"), ModulesToSave = ["lin1"], Bias = AdapterBias.All };
        using Tensor x = Input();
        float[] plain, trained;
        using (Network network = new(seed: 1))
        {
            plain = Run(network, x);
            using var model = new PeftModel(network);
            model.AddAdapter(config, new Generator(5), "mine");
            Assert.Equal(
                ["base_model.model.lin0.base_layer.bias", "base_model.model.lin0.delora_A.mine", "base_model.model.lin0.delora_B.mine",
                 "base_model.model.lin0.delora_lambda.mine", "base_model.model.lin1.modules_to_save.mine.weight", "base_model.model.lin1.modules_to_save.mine.bias"],
                model.TrainableParameters().Select(pair => pair.Name));
            TrainABit(network, model, x);
            trained = Run(network, x);
            Assert.NotEqual(plain, trained);
            model.Save(_folder);
        }
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(_folder, "mine", PeftModel.WeightsFileName));
        Assert.Contains("base_model.model.lin1.weight", file.Entries.Select(entry => entry.Name));
        using Network fresh = new(seed: 1);
        using var loaded = new PeftModel(fresh);
        loaded.Load(Path.Combine(_folder, "mine"), "mine");
        Assert.Equal(trained, Run(fresh, x));
        loaded.Dispose();
        Assert.Equal(plain, Run(fresh, x), (a, b) => Math.Abs(a - b) < 0.2);
    }

    [Fact]
    public void FilesThatDoNotFitAreRefusedWithBothShapesAndAllNames()
    {
        using (Network network = new(seed: 1))
        using (var model = new PeftModel(network))
        {
            model.AddAdapter(new DeloraConfig { R = 2, TargetModules = ModuleSelector.Of("lin0", "lin1") }, new Generator(5));
            model.Save(_folder);
        }
        string config = Path.Combine(_folder, AdapterConfig.FileName);
        string text = File.ReadAllText(config);
        using Network fresh = new(seed: 1);
        using var loaded = new PeftModel(fresh);

        File.WriteAllText(config, text.Replace("\"r\": 2", "\"r\": 3"));
        string rank = Assert.Throws<DeloraFormatException>(() => loaded.Load(_folder)).Message;
        Assert.Contains("[2, 6]", rank);
        Assert.Contains("[3, 6]", rank);

        File.WriteAllText(config, text.Replace("\"lin1\"", "\"lin0\""));
        string extra = Assert.Throws<DeloraFormatException>(() => loaded.Load(_folder)).Message;
        Assert.Contains("base_model.model.lin1.delora_A", extra);
        Assert.Empty(loaded.Configs);
        Assert.Empty(loaded.AdaptedLayers);

        File.WriteAllText(config, text);
        File.Delete(Path.Combine(_folder, PeftModel.WeightsFileName));
        File.WriteAllText(Path.Combine(_folder, "adapter_model.bin"), "pickle");
        Assert.Contains("safetensors", Assert.Throws<DeloraFormatException>(() => loaded.Load(_folder)).Message);
    }

    [Fact]
    public void TheSavedConfigurationIsPefts()
    {
        using Network network = new(seed: 1);
        using var model = new PeftModel(network);
        var config = new DeloraConfig { R = 2, DeloraLambda = 3, TargetModules = ModuleSelector.Of("lin0"), ResidualInitialization = true };
        model.AddAdapter(config with { RankPattern = [new("lin0", 5)], LambdaPattern = [new("lin0", 1.25)] }, new Generator(5));
        model.Save(_folder);
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(_folder, AdapterConfig.FileName)));
        Assert.Equal("DELORA", json.RootElement.GetProperty("peft_type").GetString());
        Assert.Equal(4, json.RootElement.GetProperty("r").GetInt32());
        Assert.Equal(6, json.RootElement.GetProperty("delora_lambda").GetDouble());
        Assert.Equal(10, json.RootElement.GetProperty("rank_pattern").GetProperty("lin0").GetInt32());
        Assert.Equal(2.5, json.RootElement.GetProperty("lambda_pattern").GetProperty("lin0").GetDouble());
    }

    [Fact]
    public void DropoutActsInTrainingAloneAndItsGradientsAreRight()
    {
        using Network network = new(seed: 1, Devices.Reference);
        using Tensor x = Input(Devices.Reference);
        using var model = new PeftModel(network);
        var generator = new Generator(9);
        var config = new DeloraConfig { R = 2, DeloraLambda = 3, TargetModules = ModuleSelector.AllLinear, InitWeights = false, ModuleDropout = 0.5 };
        model.AddAdapter(config, generator);
        model.AddAdapter(config, generator, "second");
        model.Activate("default", "second");
        double[] Output()
        {
            using var scope = new TensorScope();
            return network.Forward(x).ToArray<double>();
        }
        Assert.Equal(Output(), Output());
        network.Train();
        Assert.NotEqual(Output(), Output());
        GeneratorState state = generator.State;
        GradientCheck.Numerical(() =>
        {
            generator.State = state;
            return network.Forward(x);
        }, [.. model.TrainableParameters().Select(pair => pair.Parameter)], step: 1e-6, tolerance: 1e-5);
    }

    private static Tensor Input(Device? device = null)
    {
        var values = new float[36];
        new Generator(77).FillNormal(values);
        return Tensor.From(values, [2, 3, 6], device ?? s_device, "x").Own();
    }

    private static float[] Run(Network network, Tensor x)
    {
        using var scope = new TensorScope();
        return network.Forward(x).ToArray<float>();
    }

    private static float[] Weights(Network network)
    {
        using Tensor a = network.Lin0.CopyWeight(), b = network.Lin1.CopyWeight();
        return [.. a.ToArray<float>(), .. b.ToArray<float>()];
    }

    private static void TrainABit(Network network, PeftModel model, Tensor x)
    {
        using var optimizer = new AdamW(model.TrainableParameters().Select(pair => pair.Parameter), learningRate: 1e-2);
        for (int step = 0; step < 5; step++)
        {
            optimizer.ZeroGradients();
            using var tape = new Tape();
            Tensor y = network.Forward(x);
            tape.Backward(y.Multiply(y).Mean());
            optimizer.Step();
        }
    }

    private sealed class Network : Module
    {
        internal Network(ulong seed, Device? device = null)
        {
            var generator = new Generator(seed);
            Lin0 = Register("lin0", new Linear(6, 9, device ?? s_device, generator));
            Lin1 = Register("lin1", new Linear(9, 4, device ?? s_device, generator));
        }

        internal Linear Lin0 { get; }

        internal Linear Lin1 { get; }

        internal Tensor Forward(Tensor x) => Lin1.Forward(Lin0.Forward(x).GeluTanh());
    }
}
