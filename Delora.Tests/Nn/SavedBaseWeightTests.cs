using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests.Nn;

/// <summary>The base weight of an adapted output layer travels with the adapter, as PEFT saves and takes it.</summary>
public sealed class SavedBaseWeightTests : IDisposable
{
    private const string Key = "base_model.model.lm_head.base_layer.weight";
    private readonly TemporaryFolder _folder = new();

    private string Folder => _folder.Path;

    public void Dispose() => _folder.Dispose();

    [Theory, InlineData(true), InlineData(false)]
    public void AnotherModelTakesTheWeightOfTheFile(bool tied)
    {
        double[] want = Save(tied);
        using GPT2LMHeadModel other = Create(tied, change: true);
        using var peft = new PeftModel(other);
        List<string> warnings = [];
        peft.Load(Folder, warn: warnings.Add);
        Assert.Contains(warnings, warning => warning.Contains($"{Key} is not the model's own weight", StringComparison.Ordinal));
        Assert.Equal(want, Weight(other));
        // The model's own is not touched where it is the same.
        warnings.Clear();
        peft.Load(Folder, "again", warn: warnings.Add);
        Assert.DoesNotContain(warnings, warning => warning.Contains("is not the model's own", StringComparison.Ordinal));
    }

    [Fact]
    public void WhatIsSavedWhileAnAdapterIsMergedIsTheBaseWeight()
    {
        double[] want = Save(tied: true, merged: true);
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(Folder, PeftModel.WeightsFileName));
        using Tensor saved = file.ReadFloat(Key, Devices.Cpu);
        Assert.Equal(want, saved.ToArray<double>());
    }

    [Fact]
    public void LoadingBesideAMergedAdapterComparesWithTheBaseWeight()
    {
        Save(tied: true);
        using GPT2LMHeadModel model = Create(tied: true);
        using var peft = new PeftModel(model);
        List<string> warnings = [];
        peft.Load(Folder);
        peft.Merge();
        double[] merged = Weight(model);
        peft.Load(Folder, "b", warn: warnings.Add);
        Assert.DoesNotContain(warnings, warning => warning.Contains("is not the model's own", StringComparison.Ordinal));
        Assert.Equal(merged, Weight(model));

        using GPT2LMHeadModel other = Create(tied: true, change: true);
        using var changed = new PeftModel(other);
        changed.AddAdapter(new LoraConfig { R = 2, TargetModules = (string[])["lm_head"], InitWeights = false }, new Generator(2), "own");
        changed.Merge();
        double[] before = Weight(other);
        Assert.Contains("unmerge first", Assert.Throws<InvalidOperationException>(() => changed.Load(Folder)).Message);
        Assert.Equal(before, Weight(other));
    }

    [Fact]
    public void OfATiedWeightTheNormsAreTheBaseWeightsWhicheverLayerIsMergedInto()
    {
        using GPT2LMHeadModel model = Create(tied: true);
        using var peft = new PeftModel(model);
        var head = (Linear)model.GetModule("lm_head");
        using Tensor want = head.Adapters.BaseColumnNorms();
        peft.AddAdapter(new LoraConfig { R = 2, TargetModules = (string[])["wte"], InitWeights = false }, new Generator(2));
        double[] weight = Weight(model);
        peft.Merge();
        Assert.NotEqual(weight, Weight(model));
        using Tensor found = head.Adapters.BaseColumnNorms();
        Assert.Equal(want.ToArray<double>(), found.ToArray<double>());
        Assert.Throws<InvalidOperationException>(head.Unfreeze);
    }

    [Fact]
    public void AFileWithoutItLoadsAndOneOfAnotherShapeDoesNot()
    {
        double[] want = Save(tied: true);
        using GPT2LMHeadModel model = Create(tied: true);
        using var peft = new PeftModel(model);
        Rewrite(null);
        peft.Load(Folder);
        Assert.Equal(want, Weight(model));
        Rewrite([36, 24]);
        string message = Assert.Throws<DeloraFormatException>(() => peft.Load(Folder, "wrong")).Message;
        Assert.Contains($"{Key} has the shape [36, 24] instead of [37, 24]", message);
    }

    [Fact]
    public void OtherTargetsSaveNone()
    {
        using GPT2LMHeadModel model = Create(tied: true);
        using var peft = new PeftModel(model);
        peft.AddAdapter(new DeloraConfig { R = 2, TargetModules = ModuleSelector.AllLinear }, new Generator(1));
        peft.Save(Folder);
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(Folder, PeftModel.WeightsFileName));
        Assert.DoesNotContain(file.Entries, entry => entry.Name.Contains("base_layer", StringComparison.Ordinal));
    }

    private double[] Save(bool tied, bool merged = false)
    {
        using GPT2LMHeadModel model = Create(tied);
        using var peft = new PeftModel(model);
        double[] weight = Weight(model);
        peft.AddAdapter(new LoraConfig { R = 2, TargetModules = (string[])["lm_head"], InitWeights = false }, new Generator(1));
        if (merged)
        {
            peft.Merge();
            Assert.NotEqual(weight, Weight(model));
        }
        peft.Save(Folder);
        return weight;
    }

    private static GPT2LMHeadModel Create(bool tied, bool change = false)
    {
        GPT2LMHeadModel model = TinyGPT2.Create(TinyGPT2.Config with { TieWordEmbeddings = tied });
        if (!change) return model;
        using var scope = new TensorScope("change");
        ModuleState state = model.NamedState().Single(entry => entry.Name == (tied ? "transformer.wte.weight" : "lm_head.weight")).State;
        state.Write(Tensor.From([.. state.Read().ToArray<float>().Select(value => value + 1)], state.Shape, Devices.Cpu, "changed"));
        return model;
    }

    private static double[] Weight(GPT2LMHeadModel model)
    {
        using Tensor weight = ((Linear)model.GetModule("lm_head")).CopyWeight();
        return weight.ToArray<double>();
    }

    private void Rewrite(Shape? shape)
    {
        string path = Path.Combine(Folder, PeftModel.WeightsFileName);
        using var scope = new TensorScope("rewrite");
        List<KeyValuePair<string, Tensor>> tensors;
        using (SafetensorsFile file = SafetensorsFile.Open(path))
            tensors = [.. file.Entries.Where(entry => entry.Name != Key).Select(entry => KeyValuePair.Create(entry.Name, file.Read(entry.Name, Devices.Cpu)))];
        if (shape is { } other) tensors.Add(new(Key, Tensor.Zeros(other, DType.Float32, Devices.Cpu)));
        SafetensorsFile.Write(path, tensors);
    }
}
