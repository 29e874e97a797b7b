using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn;

/// <summary>What a model is after calls that fail, calls in an unusual order, and calls in the middle of others.</summary>
public sealed class PeftModelStateTests : IDisposable
{
    private static readonly DeloraConfig s_config =
        new() { R = 2, DeloraLambda = 2, TargetModules = ModuleSelector.Of("0"), InitWeights = false };

    private readonly string _folder = Directory.CreateTempSubdirectory("delora-peft-state-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void MergedAdaptersCannotBeExchangedDeletedOrTrained()
    {
        using Sequential network = Network();
        using var model = new PeftModel(network);
        model.AddAdapter(s_config, new Generator(2), "a");
        model.AddAdapter(s_config, new Generator(3), "b");
        float[] before = Run(network);
        model.Merge();
        Assert.Contains("unmerge", Assert.Throws<InvalidOperationException>(() => model.Activate("a")).Message);
        Assert.Throws<InvalidOperationException>(() => model.Delete("b"));
        Assert.Equal(["a", "b"], model.Configs.Keys);
        using (new Tape())
            Assert.Contains("b is merged", Assert.Throws<GradientException>(() => network.Forward(Input())).Message);
        model.Delete("a");
        model.Unmerge();
        Assert.Equal(before, Run(network));
    }

    [Fact]
    public void ActiveAdaptersAreNamedOnceAndDoNotFollowTheCallersArray()
    {
        using Sequential network = Network();
        using var model = new PeftModel(network);
        model.AddAdapter(s_config, new Generator(2), "a");
        model.AddAdapter(s_config, new Generator(3), "b");
        Assert.Throws<ArgumentException>(() => model.Activate("a", "a"));
        Assert.Equal(["b"], model.ActiveAdapters);
        string[] names = ["a"];
        model.Activate(names);
        names[0] = "b";
        Assert.Equal(["a"], model.ActiveAdapters);
    }

    [Fact]
    public void ALoadThatFailsChangesNothing()
    {
        DeloraConfig config = s_config with { Bias = AdapterBias.All, ModulesToSave = ["2"] };
        using (Sequential network = Network())
        using (var model = new PeftModel(network))
        {
            model.AddAdapter(config, new Generator(2));
            ((Linear)network.GetModule("0")).Bias!.Value.CopyFrom<float>([1, 2, 3, 4, 5]);
            ((DeloraAdapter)((Linear)network.GetModule("0")).Adapters["default"]).Lambda.Value.CopyFrom<float>([float.NaN]);
            model.Save(_folder);
        }
        using Sequential fresh = Network();
        using var loaded = new PeftModel(fresh);
        loaded.AddAdapter(s_config, new Generator(3), "mine");
        float[] before = Run(fresh);
        HashSet<long> memory = NoLeaksAttribute.Ids(Devices.Cpu);

        Assert.Contains("NaN", Assert.Throws<DeloraFormatException>(() => loaded.Load(_folder, strict: true)).Message);
        string path = Path.Combine(_folder, AdapterConfig.FileName), text = File.ReadAllText(path);
        foreach ((string from, string to) in new[] { ("\"r\": 2", "\"r\": 2147483647"), ("\"0\"", "\"1\""), ("\"0\"", "\"2\"") })
        {
            Assert.Contains(from, text, StringComparison.Ordinal);
            File.WriteAllText(path, text.Replace(from, to, StringComparison.Ordinal));
            Assert.Throws<DeloraFormatException>(() => loaded.Load(_folder));
        }

        Assert.Empty(NoLeaksAttribute.Forgotten(Devices.Cpu, memory));
        Assert.Equal(["mine"], loaded.Configs.Keys);
        Assert.Equal(["mine"], loaded.ActiveAdapters);
        Assert.Equal(before, Run(fresh));
        Assert.Equal(3, loaded.TrainableParameters().Count());
        Assert.Null(((Linear)fresh.GetModule("2")).Weight);

        File.WriteAllText(path, text);
        var warnings = new List<string>();
        loaded.Load(_folder, warn: warnings.Add);
        Assert.Contains(warnings, warning => warning.Contains("NaN", StringComparison.Ordinal));
        Assert.Equal([1, 2, 3, 4, 5], ((Linear)fresh.GetModule("0")).Bias!.Value.ToArray<float>());
    }

    [Fact]
    public void AModuleThatIsSavedAsAWholeStaysTrainableAndIsFrozenAgainAfterwards()
    {
        using Sequential network = Network();
        using var model = new PeftModel(network);
        float[] plain = Run(network);
        var head = (Linear)network.GetModule("2");
        model.AddAdapter(s_config with { ModulesToSave = ["2"] }, new Generator(2), "whole");
        Assert.NotNull(head.Weight);
        network.Freeze();
        Assert.False(head.Weight!.RequiresGradient);
        Assert.False(head.Weight.Value.IsDisposed);
        DeloraConfig low = s_config with { TargetModules = ModuleSelector.Of("2") };
        Assert.Throws<DeloraFormatException>(() => model.AddAdapter(low, new Generator(3), "low-rank"));
        model.Delete("whole");
        Assert.Null(head.Weight);
        Assert.Equal(plain, Run(network));

        model.AddAdapter(low, new Generator(3), "low-rank");
        Assert.Throws<DeloraFormatException>(() => model.AddAdapter(s_config with { ModulesToSave = ["2"] }, new Generator(2), "whole"));
        Assert.Equal(["low-rank"], model.Configs.Keys);
        Assert.Equal(["low-rank"], model.ActiveAdapters);
    }

    [Fact]
    public void DisablingHoldsForLayersWhoseAdaptersComeAndGoMeanwhile()
    {
        using Sequential network = Network();
        using var model = new PeftModel(network);
        float[] plain = Run(network);
        model.AddAdapter(s_config, new Generator(2), "a");
        IDisposable outer = model.Disable(), inner = model.Disable();
        model.Delete("a");
        model.AddAdapter(s_config with { TargetModules = ModuleSelector.Of("2") }, new Generator(3), "b");
        Assert.Equal(plain, Run(network));
        outer.Dispose();
        outer.Dispose();
        Assert.Equal(plain, Run(network));
        inner.Dispose();
        Assert.NotEqual(plain, Run(network));
        model.AddAdapter(s_config, new Generator(4), "c");
        Assert.NotEqual(plain, Run(network));

        IDisposable last = model.Disable();
        model.Dispose();
        last.Dispose();
        Assert.Equal(plain, Run(network));
        using var again = new PeftModel(network);
        again.AddAdapter(s_config, new Generator(5));
        Assert.NotEqual(plain, Run(network));
    }

    [Fact]
    public void DeletingTheAdapterThatTrainedTheBiasesFreezesThem()
    {
        using Sequential network = Network();
        using var model = new PeftModel(network);
        model.AddAdapter(s_config with { Bias = AdapterBias.All }, new Generator(2));
        Assert.True(((Linear)network.GetModule("2")).Bias!.RequiresGradient);
        model.Delete(PeftModel.DefaultAdapter);
        Assert.Empty(model.TrainableParameters());
        Assert.Empty(model.ActiveAdapters);
    }

    [Theory, InlineData(false), InlineData(true)]
    public void TheBaseModelMayBeDisposedFirst(bool merged)
    {
        HashSet<long> memory = NoLeaksAttribute.Ids(Devices.Cpu);
        Sequential network = Network();
        var model = new PeftModel(network);
        model.AddAdapter(s_config with { ModulesToSave = ["2"], Bias = AdapterBias.All }, new Generator(2), "a");
        model.AddAdapter(s_config with { ModulesToSave = ["2"] }, new Generator(3), "b");
        if (merged) model.Merge();
        network.Dispose();
        model.Dispose();
        model.Dispose();
        Assert.Empty(NoLeaksAttribute.Forgotten(Devices.Cpu, memory));
    }

    [Fact]
    public void AFolderThatCannotBeWrittenIsATypedError()
    {
        using Sequential network = Network();
        using var model = new PeftModel(network);
        model.AddAdapter(s_config, new Generator(2), "a");
        string file = Path.Combine(_folder, "file");
        File.WriteAllText(file, "");
        Assert.Contains(file, Assert.Throws<DeloraException>(() => model.Save(file)).Message);
        Assert.Throws<ArgumentException>(() => model.Save(Path.Combine(_folder, "new"), "a", "b"));
        Assert.False(Directory.Exists(Path.Combine(_folder, "new")));
        string absent = Path.Combine(_folder, "absent");
        Assert.Contains(absent, Assert.Throws<DeloraFormatException>(() => model.Load(absent, "b")).Message);
    }

    private static Sequential Network()
    {
        var generator = new Generator(1);
        return new Sequential(new Linear(4, 5, Devices.Cpu, generator), Activation.Gelu(), new Linear(5, 3, Devices.Cpu, generator));
    }

    private static Tensor Input() => Tensor.From<float>([1, -2, 3, -4, 0.5f, 0.25f, 2, 1], [2, 4], Devices.Cpu);

    private static float[] Run(Sequential network)
    {
        using var scope = new TensorScope();
        return network.Forward(Input()).ToArray<float>();
    }
}
