using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn;

/// <summary>Names, merging, owners, training, whole modules: what goes beyond one adapter that is trained and saved.</summary>
public sealed class PeftModelOperationsTests
{
    [Fact]
    public void ARenamedAdapterGoesOnActingAndIsSavedUnderItsNewName()
    {
        using var folder = new TemporaryFolder();
        using PeftNetwork network = new();
        using var model = new PeftModel(network);
        model.AddAdapter(PeftNetwork.Config with { ModulesToSave = ["heads.0"] }, new Generator(2), "a");
        model.AddAdapter(PeftNetwork.Config, new Generator(3), "b");
        model.Activate("a");
        float[] before = network.Run();
        model.Merge();
        model.Rename("a", "first");
        Assert.Equal(["first"], model.MergedAdapters);
        Assert.Equal(["first", "b"], model.Configs.Keys);
        Assert.Equal(["first"], model.ActiveAdapters);
        model.Unmerge();
        Assert.Equal(before, network.Run());
        Assert.All(model.TrainableParameters(), entry => Assert.Contains(".first", entry.Name, StringComparison.Ordinal));
        Assert.Contains(model.TrainableParameters(), entry => entry.Name == "base_model.model.heads.0.modules_to_save.first.weight");
        model.Save(folder.Path, "first");
        Assert.True(File.Exists(folder.File("first/adapter_config.json")));
        Assert.False(Directory.Exists(folder.File("b")));
        Assert.Throws<ArgumentException>(() => model.Rename("first", "b"));
        Assert.Throws<ArgumentException>(() => model.Rename("ghost", "c"));
        Assert.Throws<ArgumentException>(() => model.Rename("first", "a.b"));
        model.Delete("first");
        Assert.Equal(["b"], model.ActiveAdapters);
    }

    [Fact]
    public void ArgumentsThatAreNullAreRefusedAndChangeNothing()
    {
        using PeftNetwork network = new();
        using var model = new PeftModel(network);
        model.AddAdapter(PeftNetwork.Config, new Generator(1));
        foreach (Action call in (Action[])
        [
            () => _ = new PeftModel(null!),
            () => model.AddAdapter(null!, new Generator(1), "other"),
            () => model.AddAdapter(PeftNetwork.Config, null!, "other"),
            () => model.AddAdapter(PeftNetwork.Config, new Generator(1), null!),
            () => model.Load(null!, "other"),
            () => model.Load("folder", null!),
            () => model.Activate(null!),
            () => model.Activate("default", null!),
            () => model.Rename("default", null!),
            () => model.Rename(null!, "other"),
            () => model.Delete(null!),
            () => model.SetTrainable(null!),
            () => model.Rows((string[])null!),
            () => model.Save(null!),
            () => model.Merge([null!]),
            () => model.CopyState(null!),
            () => model.AddWeightedAdapter(null!, "sum"),
            () => model.AddWeightedAdapter([(null!, 1)], "sum"),
            () => _ = new TextGenerator(null!, null!),
            () => CausalLanguageModel.Load("folder", null!),
            () => CausalLanguageModel.Load(null!, Devices.Cpu),
            () => PretrainedModel.Load(null!, Devices.Cpu),
        ])
            Assert.Throws<ArgumentNullException>(call);
        Assert.Equal(["default"], model.Configs.Keys);
        Assert.Equal(["default"], model.ActiveAdapters);
        // The argument that is named is the caller's own.
        Assert.Equal("adapters", Assert.Throws<ArgumentException>(() => model.AddWeightedAdapter([("ghost", 1)], "sum")).ParamName);
        Assert.Equal("adapters", Assert.Throws<ArgumentException>(() => model.AddWeightedAdapter([], "sum")).ParamName);
        Assert.Equal("adapters", Assert.Throws<ArgumentException>(() => model.AddWeightedAdapter([("default", double.NaN)], "sum")).ParamName);
    }

    [Fact]
    public void MergeAndUnloadLeavesAPlainModelThatComputesTheSame()
    {
        using PeftNetwork network = new();
        using var model = new PeftModel(network);
        model.AddAdapter(PeftNetwork.Config with { ModulesToSave = ["heads.1"] }, new Generator(2), "a");
        float[] adapted = network.Run();
        var head = (Linear)network.GetModule("heads.1");
        head.Weight!.Value.CopyFrom<float>([1, 2, 3, 4, 5, 6, 7, 8]);
        Assert.Same(network, model.MergeAndUnload());
        Assert.Empty(model.Configs);
        Assert.Empty(model.AdaptedLayers);
        Assert.Equal(adapted, network.Run(), (a, b) => Math.Abs(a - b) < 1e-4);
        using (Tensor weight = head.CopyWeight()) Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8], weight.ToArray<float>());
        float[] merged = network.Weights();
        model.Unmerge();
        Assert.Equal(merged, network.Weights());
        using var again = new PeftModel(network);
        again.AddAdapter(PeftNetwork.Config, new Generator(3));
        Assert.Same(network, again.Unload());
        Assert.Equal(merged, network.Weights());
    }

    [Fact]
    public void AMergeThatFailsInALaterLayerLeavesEarlierMergesAsTheyWere()
    {
        using PeftNetwork network = new();
        List<string> warnings = [];
        using var model = new PeftModel(network, warn: warnings.Add);
        model.AddAdapter(PeftNetwork.Config, new Generator(2), "a");
        model.AddAdapter(PeftNetwork.Config, new Generator(3), "b");
        model.Activate("a", "b");
        float[] plain = network.Weights();
        // The name 'a' is a part of 'delora_', which is warned of.
        warnings.Clear();
        model.Merge(["a"]);
        Assert.Contains("b is active and not merged", Assert.Single(warnings));
        float[] merged = network.Weights();
        ((DeloraAdapter)network.Lin1.Adapters["b"]).Lambda.Value.CopyFrom<float>([float.NaN]);
        Assert.Throws<NonFiniteException>(() => model.Merge(["b"]));
        Assert.Equal(merged, network.Weights());
        Assert.Equal(["a"], model.MergedAdapters);
        Assert.Throws<ArgumentException>(() => model.Merge(["a", "ghost"]));

        warnings.Clear();
        model.Merge(["b"], safe: false);
        Assert.Contains(warnings, warning => warning.Contains("'lin1' holds NaN", StringComparison.Ordinal));
        model.Unmerge();
        Assert.Equal(plain, network.Weights());
    }

    [Fact]
    public void ABaseModelHasOneOwnerOfItsAdapters()
    {
        using PeftNetwork network = new();
        using var first = new PeftModel(network);
        first.AddAdapter(PeftNetwork.Config, new Generator(2));
        float[] adapted = network.Run();
        using var second = new PeftModel(network);
        Assert.Contains("another PeftModel", Assert.Throws<InvalidOperationException>(
            () => second.AddAdapter(PeftNetwork.Config, new Generator(3), "b")).Message);
        Assert.Equal(adapted, network.Run());
        first.Merge();
        using (var guest = new PeftModel(network)) Assert.Empty(guest.Configs);
        Assert.Equal(["default"], first.MergedAdapters);
        first.Unmerge();

        List<string> warnings = [];
        using var strict = new PeftModel(network, PeftCompatibility.Strict, warnings.Add);
        Assert.Equal(2, warnings.Count);
        Assert.Equal(["default"], strict.ActiveAdapters);
        Assert.Empty(first.Configs);
        first.Dispose();
        Assert.Equal(adapted, network.Run());
        strict.Unload();
        second.AddAdapter(PeftNetwork.Config, new Generator(3), "b");
        Assert.Equal(["b"], second.ActiveAdapters);
    }

    [Fact]
    public void AnAdapterIsAddedBesideAMergedOneWithTheNormsOfTheBaseWeight()
    {
        using PeftNetwork network = new();
        List<string> warnings = [];
        using var model = new PeftModel(network, warn: warnings.Add);
        model.AddAdapter(PeftNetwork.Config, new Generator(2), "a");
        float[] norms = ((DeloraAdapter)network.Lin0.Adapters["a"]).ColumnNorms.ToArray<float>();
        model.Merge();
        float[] merged = network.Run();
        warnings.Clear();
        model.AddAdapter(PeftNetwork.Config, new Generator(3), "b");
        Assert.Contains("'b' does not act yet: a is merged", Assert.Single(warnings));
        Assert.Equal(merged, network.Run());
        Assert.Equal(norms, ((DeloraAdapter)network.Lin0.Adapters["b"]).ColumnNorms.ToArray<float>());
        Assert.Equal(["a"], model.ActiveAdapters);
        Assert.All(model.TrainableParameters(), entry => Assert.EndsWith(".a", entry.Name));
        model.Unmerge();
        model.Activate("b");
        Assert.NotEqual(merged, network.Run());
    }

    [Fact]
    public void WhatIsLoadedIsTrainedOnlyWhereItIsAskedFor()
    {
        using var folder = new TemporaryFolder();
        using (PeftNetwork network = new())
        using (var model = new PeftModel(network))
        {
            model.AddAdapter(PeftNetwork.Config with { ModulesToSave = ["heads.0"], Bias = AdapterBias.All }, new Generator(2));
            model.Save(folder.Path);
        }
        using PeftNetwork fresh = new();
        using var loaded = new PeftModel(fresh);
        loaded.Load(folder.Path);
        Assert.Empty(loaded.TrainableParameters());
        loaded.Activate("default");
        Assert.Empty(loaded.TrainableParameters());
        loaded.SetTrainable("default");
        int all = loaded.TrainableParameters().Count();
        // Of two layers A, B, λ; of one whole module weight and bias; the biases of three layers.
        Assert.Equal(6 + 2 + 3, all);
        Assert.False(loaded.Configs["default"].InferenceMode);
        loaded.SetTrainable("default", trainable: false);
        Assert.Empty(loaded.TrainableParameters());
        loaded.Delete("default");
        loaded.Load(folder.Path, trainable: true);
        Assert.Equal(all, loaded.TrainableParameters().Count());
    }

    [Fact]
    public void AContainerIsTrainedAsAWholeAndWhatLiesInsideIsAPartOfIt()
    {
        using var folder = new TemporaryFolder();
        using PeftNetwork network = new();
        using var model = new PeftModel(network);
        DeloraConfig config = PeftNetwork.Config with { ModulesToSave = ["heads", "heads.0"] };
        model.AddAdapter(config, new Generator(2));
        Assert.Equal(
            ["base_model.model.heads.modules_to_save.default.0.weight", "base_model.model.heads.modules_to_save.default.0.bias",
             "base_model.model.heads.modules_to_save.default.1.weight", "base_model.model.heads.modules_to_save.default.1.bias"],
            model.TrainableParameters().Select(entry => entry.Name).Where(name => name.Contains("heads", StringComparison.Ordinal)));
        ((Linear)network.GetModule("heads.1")).Bias!.Value.CopyFrom<float>([1, 2, 3, 4]);
        model.Save(folder.Path);
        Assert.Contains("inside each other", Assert.Throws<DeloraFormatException>(
            () => model.AddAdapter(PeftNetwork.Config with { ModulesToSave = ["heads.1"] }, new Generator(3), "b")).Message);

        using PeftNetwork fresh = new();
        using var loaded = new PeftModel(fresh);
        loaded.Load(folder.Path);
        Assert.Equal([1, 2, 3, 4], ((Linear)fresh.GetModule("heads.1")).Bias!.Value.ToArray<float>());
        using PeftNetwork other = new();
        using var strict = new PeftModel(other, PeftCompatibility.Strict);
        Assert.Contains("list of modules", Assert.Throws<DeloraFormatException>(() => strict.AddAdapter(config, new Generator(2))).Message);
        Assert.Empty(strict.Configs);
    }

    [Fact]
    public void OneAdapterTrainsBiasesAndASecondOneMayNot()
    {
        using PeftNetwork network = new();
        using var model = new PeftModel(network);
        model.AddAdapter(PeftNetwork.Config, new Generator(2), "a");
        model.AddAdapter(PeftNetwork.Config with { Bias = AdapterBias.All }, new Generator(3), "b");
        Assert.Equal("bias", Assert.Throws<DeloraFormatException>(
            () => model.AddAdapter(PeftNetwork.Config with { Bias = AdapterBias.AdapterOnly }, new Generator(4), "c")).Field);
        Assert.Equal(["a", "b"], model.Configs.Keys);
    }

    [Fact]
    public void AStrictLoadOverwritesAnAdapterWithItsWholeModulesAndBiases()
    {
        using var folder = new TemporaryFolder();
        DeloraConfig config = PeftNetwork.Config with { ModulesToSave = ["heads.0"], Bias = AdapterBias.All };
        using (PeftNetwork network = new())
        using (var model = new PeftModel(network))
        {
            model.AddAdapter(config, new Generator(2));
            ((Linear)network.GetModule("heads.0")).Bias!.Value.CopyFrom<float>([7, 8, 9]);
            network.Lin0.Bias!.Value.CopyFrom<float>([.. Enumerable.Repeat(0.5f, 20)]);
            model.Save(folder.Path);
        }
        using PeftNetwork fresh = new();
        using var strict = new PeftModel(fresh, PeftCompatibility.Strict);
        strict.AddAdapter(config, new Generator(99));
        AdapterLoadResult result = strict.Load(folder.Path);
        Assert.Empty(result.MissingKeys.Concat(result.UnexpectedKeys).Concat(result.MismatchedKeys));
        Assert.Equal([7, 8, 9], ((Linear)fresh.GetModule("heads.0")).Bias!.Value.ToArray<float>());
        Assert.All(fresh.Lin0.Bias!.Value.ToArray<float>(), value => Assert.Equal(0.5f, value));
        // Its configuration stays, and so does whether it is trained.
        Assert.False(strict.Configs["default"].InferenceMode);
        Assert.NotEmpty(strict.TrainableParameters());
        using (strict.Disable())
            Assert.Throws<InvalidOperationException>(() => new PeftModel(fresh, PeftCompatibility.Strict));
    }
}
