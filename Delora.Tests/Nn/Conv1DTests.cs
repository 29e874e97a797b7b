using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Ops;

namespace Delora.Tests.Nn;

/// <summary>A linear layer whose weight is stored transposed is a linear layer, but for what its state and its parameter look like.</summary>
public sealed class Conv1DTests
{
    private const int In = 5, Out = 7;

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void ItComputesWhatTheLayerWithTheTurnedWeightDoes(string name)
    {
        Device device = TestDevices.Get(name);
        using Linear conv = Conv(device), linear = Turned(device);
        using var scope = new TensorScope("test");
        Tensor x = OpTesting.Floats([2, 3, In], device, 4);
        foreach (bool freeze in (bool[])[false, true])
        {
            if (freeze)
            {
                conv.Freeze();
                linear.Freeze();
            }
            Tensor y = conv.Forward(x);
            Assert.Equal([2, 3, Out], y.Shape);
            OpTesting.Close(linear.Forward(x).ToArray<double>(), y.ToArray<double>(), 1e-6);
            // What files hold is what was given, bit by bit.
            ModuleState state = conv.OwnState().First().State;
            Assert.Equal([In, Out], state.Shape);
            Assert.Equal(Stored(device).ToArray<double>(), state.Read().ToArray<double>());
            Assert.Equal(linear.CopyWeight().ToArray<double>(), conv.CopyWeight().ToArray<double>());
            state.Write(state.Read());
            Assert.Equal(linear.CopyWeight().ToArray<double>(), conv.CopyWeight().ToArray<double>());
        }
        conv.Unfreeze();
        Assert.Equal([In, Out], conv.Weight!.Shape);
        Assert.Equal(Stored(device).ToArray<double>(), conv.Weight.Value.ToArray<double>());
    }

    [Theory, InlineData(true), InlineData(false)]
    public void GradientsOfTheParameterMatchNumericalDifferentiation(bool bias)
    {
        using var conv = Linear.FromTransposed(Stored(Devices.Reference), bias ? OpTesting.Floats([Out], Devices.Reference, 2) : null);
        using Parameter x = OpTesting.Parameter("x", [2, 2, In], Devices.Reference, 3);
        GradientCheck.Numerical(() => conv.Forward(x), [x, .. conv.OwnParameters().Select(entry => entry.Parameter)]);
        using Tensor labels = Tensor.From([3, 0, 6, 1], [2, 2], Devices.Reference);
        GradientCheck.Numerical(() => conv.CrossEntropy(x, labels), [x, .. conv.OwnParameters().Select(entry => entry.Parameter)]);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void AdaptersMergeAndNormsAreThoseOfTheTurnedWeight(string name)
    {
        Device device = TestDevices.Get(name);
        using Linear conv = Conv(device), linear = Turned(device);
        using var scope = new TensorScope("test");
        foreach (Linear layer in (Linear[])[conv, linear])
        {
            layer.Freeze();
            layer.Adapters.Add("delora", DeloraAdapter.Create(layer.Adapters.BaseColumnNorms(), Out, 2, 3, new Generator(1), randomB: true));
            layer.Adapters.Add("lora", LoraAdapter.Create(In, Out, 3, 0.5, device, new Generator(2), randomB: true));
            layer.Adapters.Activate("delora", "lora");
        }
        // w_i is the norm of row i of what is stored.
        double[] stored = Stored(device).ToArray<double>(), norms = ((DeloraAdapter)conv.Adapters["delora"]).ColumnNorms.ToArray<double>();
        OpTesting.Close([.. stored.Chunk(Out).Select(row => Math.Sqrt(row.Sum(value => value * value)))], norms, 1e-6);
        Tensor x = OpTesting.Floats([2, 3, In], device, 4);
        double[] want = linear.Forward(x).ToArray<double>();
        OpTesting.Close(want, conv.Forward(x).ToArray<double>(), 1e-6);

        conv.Adapters.Merge("delora", "lora");
        OpTesting.Close(want, conv.Forward(x).ToArray<double>(), 1e-5);
        double[] merged = conv.OwnState().First().State.Read().ToArray<double>();
        using Tensor one = conv.Adapters["delora"].DeltaWeight(), two = conv.Adapters["lora"].DeltaWeight();
        double[] delta = [.. one.ToArray<double>().Zip(two.ToArray<double>(), (a, b) => a + b)];
        for (int i = 0; i < In; i++)
            for (int j = 0; j < Out; j++) Assert.Equal(stored[i * Out + j] + delta[j * In + i], merged[i * Out + j], 1e-5);
        conv.Adapters.Unmerge();
        Assert.Equal(stored, conv.OwnState().First().State.Read().ToArray<double>());
    }

    [Fact]
    public void TrainedAsAWholeItIsSavedAsItIsStored()
    {
        using var folder = new TemporaryFolder();
        using var network = new Network();
        using (var peft = new PeftModel(network))
        {
            peft.AddAdapter(new DeloraConfig { R = 2, TargetModules = (string[])["first"], ModulesToSave = ["last"] }, new Generator(1));
            Assert.Equal([In, Out], peft.TrainableParameters().Single(entry => entry.Name == "base_model.model.last.modules_to_save.default.weight").Parameter.Shape);
            peft.Save(folder.Path);
        }
        using (SafetensorsFile file = SafetensorsFile.Open(folder.File(PeftModel.WeightsFileName)))
        {
            Assert.Equal([In, Out], file["base_model.model.last.weight"].Shape);
            Assert.Equal([2, In], file["base_model.model.first.delora_A"].Shape);
            Assert.Equal([Out, 2], file["base_model.model.first.delora_B"].Shape);
        }
        using var again = new PeftModel(network);
        again.Load(folder.Path);
        Assert.Equal("first", Assert.Single(again.AdaptedLayers).Name);
    }

    [Fact]
    public void ThatOnlyThisLibraryReadsADeloraAdapterIsSaidAndWritten()
    {
        using var folder = new TemporaryFolder();
        using var network = new Network();
        foreach ((AdapterConfig config, bool isBeyond) in ((AdapterConfig, bool)[])
            [(new DeloraConfig { R = 2, TargetModules = ModuleSelector.AllLinear }, true), (new LoraConfig { R = 2, TargetModules = ModuleSelector.AllLinear }, false)])
        {
            using var peft = new PeftModel(network);
            List<string> warnings = [];
            peft.AddAdapter(config, new Generator(1), warn: warnings.Add);
            Assert.Equal(isBeyond, warnings.Any(warning => warning.Contains("first, last: PEFT has no DeLoRA on modules of the kind Conv1D", StringComparison.Ordinal)));
            peft.Save(folder.Path);
            string json = File.ReadAllText(folder.File(AdapterConfig.FileName));
            Assert.Equal(isBeyond, json.Contains("\"beyond_peft\": [\n    \"Conv1D\"\n  ]", StringComparison.Ordinal));
            string card = File.ReadAllText(folder.File("README.md"));
            Assert.Equal(isBeyond, card.Contains("Only Delora reads default: PEFT has no DeLoRA on modules of the kind Conv1D", StringComparison.Ordinal));
            Assert.Equal(!isBeyond, card.Contains("library_name: peft", StringComparison.Ordinal) && card.Contains("from peft import", StringComparison.Ordinal));
            File.Delete(folder.File("README.md"));
            // It is a field that is known, and nothing to warn of.
            warnings.Clear();
            AdapterConfig read = AdapterConfig.Load(folder.File(AdapterConfig.FileName), warnings.Add);
            Assert.Empty(warnings);
            Assert.Equal(json, read.ToJson());
        }
    }

    [Fact]
    public void TheStrictModeRefusesItAsPeftDoes()
    {
        using var network = new Network();
        using var peft = new PeftModel(network, PeftCompatibility.Strict);
        Exception error = Assert.ThrowsAny<DeloraException>(() => peft.AddAdapter(new DeloraConfig { R = 2, TargetModules = ModuleSelector.AllLinear }, new Generator(1)));
        Assert.Contains("'first' is a module of the kind Conv1D", error.Message);
        Assert.Empty(peft.AdaptedLayers);
    }

    [Fact]
    public void ShapesAreChecked()
    {
        using var scope = new TensorScope("test");
        Tensor weight = Stored(Devices.Cpu);
        Assert.Throws<ShapeException>(() => Linear.FromTransposed(weight, OpTesting.Floats([In], Devices.Cpu, 1)));
        using Linear conv = Conv(Devices.Cpu);
        Assert.Throws<ShapeException>(() => conv.Forward(OpTesting.Floats([2, Out], Devices.Cpu, 1)));
        Assert.Throws<ArgumentException>(() => new Embedding(conv));
    }

    private static Tensor Stored(Device device) => OpTesting.Floats([In, Out], device, 1);

    private static Linear Conv(Device device) => Linear.FromTransposed(Stored(device), OpTesting.Floats([Out], device, 2));

    private static Linear Turned(Device device)
    {
        double[] stored = OpTesting.Numbers(In * Out, 1);
        double[] turned = [.. from j in Enumerable.Range(0, Out) from i in Enumerable.Range(0, In) select stored[i * Out + j]];
        return new Linear(Tensor.From(turned, [Out, In], device, "weight"), OpTesting.Floats([Out], device, 2));
    }

    private sealed class Network : Module
    {
        internal Network()
        {
            Register("first", Conv(Devices.Cpu));
            Register("last", Conv(Devices.Cpu));
        }
    }
}
