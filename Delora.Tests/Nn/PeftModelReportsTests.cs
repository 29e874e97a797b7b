using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn;

/// <summary>Counts, the state of layers and model, and the model card.</summary>
public sealed class PeftModelReportsTests
{
    [Fact]
    public void ParametersAreCountedInPeftsWords()
    {
        using PeftNetwork network = new();
        using var model = new PeftModel(network.Freeze());
        Assert.Equal("trainable params: 0 || all params: 283 || trainable%: 0.0000", model.DescribeTrainableParameters());
        model.AddAdapter(PeftNetwork.Config, new Generator(2));
        // 4 · (10 + 20) + 1 and 4 · (20 + 2) + 1, without w, which is no parameter.
        Assert.Equal((210, 283 + 210), model.CountParameters());
        Assert.Equal("trainable params: 210 || all params: 493 || trainable%: 42.5963", model.DescribeTrainableParameters());
        model.AddAdapter(PeftNetwork.Config with { R = 100, TargetModules = ModuleSelector.Of("lin0") }, new Generator(2), "big");
        Assert.Equal("trainable params: 3,001 || all params: 3,494 || trainable%: 85.8901", model.DescribeTrainableParameters());
    }

    [Fact]
    public void LayersAndModelSayWhatTheyAre()
    {
        using PeftNetwork network = new();
        using var model = new PeftModel(network);
        Assert.Equal((0, "None"), (model.GetModelStatus().NumAdapterLayers, model.GetModelStatus().AdapterModelType));
        model.AddAdapter(PeftNetwork.Config with { ModulesToSave = ["heads.0"] }, new Generator(2), "b");
        model.AddAdapter(PeftNetwork.Config with { TargetModules = ModuleSelector.Of("lin1") }, new Generator(3), "a");
        IReadOnlyList<AdapterLayerStatus> layers = model.GetLayerStatus();
        Assert.Equal(["model.lin0", "model.lin1", "model.heads.0"], layers.Select(layer => layer.Name));
        Assert.Equal(["delora.DeloraLinear", "delora.DeloraLinear", "ModulesToSaveWrapper"], layers.Select(layer => layer.ModuleType));
        Assert.Equal(["a", "b"], layers[1].AvailableAdapters);
        Assert.Equal(["a"], layers[1].ActiveAdapters);
        Assert.Empty(layers[0].ActiveAdapters);
        Assert.Equal((true, false), (layers[1].RequiresGrad["a"]!.Value, layers[1].RequiresGrad["b"]!.Value));
        Assert.Equal([Devices.Cpu.Name], layers[0].Devices["b"]);

        AdapterModelStatus status = model.GetModelStatus();
        Assert.Equal((nameof(PeftNetwork), "DeloraModel", 3), (status.BaseModelType, status.AdapterModelType, status.NumAdapterLayers));
        Assert.Equal(["a", "b"], status.AvailableAdapters);
        Assert.Null(status.ActiveAdapters);
        Assert.Equal("DELORA", status.PeftTypes["a"]);
        Assert.Equal((false, true), (status.RequiresGrad["b"]!.Value, status.Enabled!.Value));
        Assert.Equal(model.CountParameters(), (status.TrainableParams, status.TotalParams));
        Assert.StartsWith("AdapterModelStatus { BaseModelType = PeftNetwork, AdapterModelType = DeloraModel, PeftTypes = [b: DELORA, a: DELORA], ", status.ToString());
        Assert.Contains("Enabled = True, ActiveAdapters = irregular, MergedAdapters = [], RequiresGrad = [b: False, a: True], ", status.ToString());
        Assert.Contains("AvailableAdapters = [a, b], Devices = [", layers[1].ToString());

        model.Activate("b");
        ((DeloraAdapter)network.Lin0.Adapters["b"]).A.RequiresGradient = false;
        model.Merge(["b"]);
        using (model.Disable())
        {
            status = model.GetModelStatus();
            Assert.False(status.Enabled);
            Assert.Equal(["b"], status.MergedAdapters!);
            Assert.Null(status.RequiresGrad["b"]);
            Assert.Equal(["b"], status.ActiveAdapters!);
        }
    }

    [Fact]
    public void ACardThatIsThereKeepsItsTextAndItsOwnEntries()
    {
        using var folder = new TemporaryFolder();
        folder.Write("README.md", "---\r\nlicense: mit\r\ntags:\r\n- mine\r\n- 'quoted'\r\nlibrary_name: other\r\ndatasets:\r\n- x\r\n---\r\n\r\nMy words.\r\n");
        using PeftNetwork network = new();
        using var model = new PeftModel(network);
        model.AddAdapter(PeftNetwork.Config with { BaseModelNameOrPath = "some: model #1", TaskType = "CAUSAL_LM" }, new Generator(2));
        model.Save(folder.Path);
        model.Save(folder.Path);
        Assert.Equal(
            "---\nlicense: mit\ntags:\n- \"base_model:adapter:some: model #1\"\n- mine\n- quoted\nlibrary_name: peft\ndatasets:\n- x\n" +
            "base_model: \"some: model #1\"\npipeline_tag: text-generation\n---\n\nMy words.\n",
            File.ReadAllText(folder.File("README.md")));
    }

    [Fact]
    public void ANewCardSaysWhatTheAdapterIs()
    {
        var config = new DeloraConfig { R = 3, DeloraLambda = 2.5, TargetModules = "a|b" };
        string card = ModelCard.Compose(null, [("default", config), ("other", new LoraConfig())], isTransformers: false);
        Assert.StartsWith("---\nlibrary_name: peft\ntags:\n- lora\n---\n\n# Adapter\n", card);
        Assert.Contains("| default | DELORA | 3 | 2.5 | \"a\\|b\" |", card);
        Assert.Contains("| other | LORA | 8 | 8 | the family's default |", card);
        Assert.EndsWith("\n", card);
        Assert.Equal(card, ModelCard.Compose(card, [("default", config), ("other", new LoraConfig())], isTransformers: false));
    }
}
