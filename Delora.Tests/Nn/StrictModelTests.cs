using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

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
}
