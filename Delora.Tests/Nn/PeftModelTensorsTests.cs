using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn;

/// <summary>Adapters from tensors alone, what loading costs, and 16-bit storage.</summary>
public sealed class PeftModelTensorsTests
{
    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void LoadingMakesNoCopyOfAnyWeight(string deviceName)
    {
        Device device = TestDevices.Get(deviceName);
        using var folder = new TemporaryFolder();
        const int Width = 4096;
        using (PeftNetwork network = new(device: device, width: Width))
        using (var model = new PeftModel(network))
        {
            model.AddAdapter(PeftNetwork.Config with { R = 1 }, new Generator(2));
            model.Save(folder.Path);
        }
        using PeftNetwork fresh = new(device: device, width: Width);
        fresh.Freeze();
        using var loaded = new PeftModel(fresh);
        long before = device.Memory.Statistics.BytesInUse;
        device.Memory.ResetPeak();
        loaded.Load(folder.Path);
        long peak = device.Memory.Statistics.PeakBytesInUse - before, stays = device.Memory.Statistics.BytesInUse - before;
        // What is held afterwards is the adapter, in size classes of a quarter of a power of two; nothing was held besides while it was read.
        long size = device.FloatType.Size;
        long adapter = size * (1 * (10L + Width) + 1 + 10 + 1 * (Width + 2L) + 1 + Width);
        Assert.InRange(stays, adapter, adapter * 5 / 4 + 8 * 256);
        Assert.InRange(peak, stays, stays + 256);
        Assert.True(peak < size * 10 * Width, $"{peak} bytes; the first weight alone has {size * 10 * Width}");
    }

    [Theory, InlineData(true), InlineData(false)]
    public void AnAdapterIsInjectedFromItsTensors(bool withPrefix)
    {
        using PeftNetwork network = new();
        using var model = new PeftModel(network);
        model.AddAdapter(PeftNetwork.Config with { RankPattern = [new("lin1", 2)], TargetModules = ModuleSelector.Of("lin0", "lin1", "heads.1") },
            new Generator(2));
        float[] adapted = network.Run();
        IReadOnlyDictionary<string, Tensor> state = model.CopyState(withPrefix: withPrefix);
        try
        {
            Assert.Equal(withPrefix, state.Keys.All(key => key.StartsWith("base_model.model.", StringComparison.Ordinal)));
            using PeftNetwork fresh = new();
            using var injected = new PeftModel(fresh);
            AdapterLoadResult result = injected.Inject(state, "mine");
            Assert.Empty(result.MissingKeys);
            Assert.Equal(adapted, fresh.Run());
            Assert.Equal(["lin0", "lin1", "heads.1"], injected.AdaptedLayers.Select(layer => layer.Name));
            Assert.Equal(2, fresh.Lin1.Adapters["mine"].Rank);
            Assert.Empty(injected.TrainableParameters());
            Assert.Equal((4, 2), (injected.Configs["mine"].R, Assert.Single(injected.Configs["mine"].RankPattern).Value));
            // The configuration that was made up is one that loads again.
            using var folder = new TemporaryFolder();
            injected.Save(folder.Path);
            using PeftNetwork third = new();
            using var loaded = new PeftModel(third);
            loaded.Load(folder.File("mine"));
            Assert.Equal(adapted, third.Run());
        }
        finally
        {
            foreach (Tensor tensor in state.Values) tensor.Dispose();
        }
    }

    [Fact]
    public void OnlyTheModulesThatTheKeysNameAreAdapted()
    {
        // In a list "0" would stand for every module called so.
        using var inner = new Sequential(new Linear(3, 3, Devices.Cpu, new Generator(1)));
        using var network = new Sequential(new Linear(3, 3, Devices.Cpu, new Generator(1)), inner);
        using var scope = new TensorScope();
        using var model = new PeftModel(network);
        Dictionary<string, Tensor> state = Tensors("0", rank: 1);
        model.Inject(state);
        Assert.Equal(["0"], model.AdaptedLayers.Select(layer => layer.Name));
        Assert.Equal("\"0\"", model.Configs["default"].TargetModules!.ToString());
    }

    [Fact]
    public void AnAdapterOnAnEmbeddingIsInjectedByItsOwnKeys()
    {
        using var scope = new TensorScope();
        using var network = new Sequential(new Embedding(7, 3, Devices.Cpu, new Generator(1)));
        using var model = new PeftModel(network);
        model.AddAdapter(new DeloraConfig { R = 2, TargetModules = ModuleSelector.Of("0"), InitWeights = false }, new Generator(2));
        IReadOnlyDictionary<string, Tensor> state = model.CopyState();
        using var fresh = new Sequential(new Embedding(7, 3, Devices.Cpu, new Generator(1)));
        using var injected = new PeftModel(fresh);
        injected.Inject(state);
        Tensor ids = Tensor.From<int>([0, 6, 3], [3], Devices.Cpu, "ids");
        Assert.Equal(network.Forward(ids).ToArray<float>(), fresh.Forward(ids).ToArray<float>());
        Assert.Equal(2, injected.Configs["default"].R);
        foreach (Tensor tensor in state.Values) tensor.Dispose();
    }

    [Fact]
    public void TensorsThatAreNoAdapterOfTheModelAreRefusedAndNothingIsLeft()
    {
        using var network = new Sequential(new Linear(3, 3, Devices.Cpu, new Generator(1)));
        using var model = new PeftModel(network);
        using var scope = new TensorScope();
        string Refused(Action<Dictionary<string, Tensor>> change)
        {
            Dictionary<string, Tensor> state = Tensors("0", rank: 2);
            change(state);
            string message = Assert.Throws<DeloraFormatException>(() => model.Inject(state)).Message;
            Assert.Empty(model.Configs);
            Assert.Empty(model.AdaptedLayers);
            return message;
        }
        Assert.Contains("no delora_A", Refused(state => state.Clear()));
        Assert.Contains("missing base_model.model.0.delora_B", Refused(state => state.Remove("0.delora_B")));
        Assert.Contains("not expected base_model.model.0.more", Refused(state => state.Add("0.more", state["0.delora_A"])));
        Assert.Contains("a module 'x' that the model lacks", Refused(state => state.Add("x.delora_A", state["0.delora_A"])));
        Assert.Contains("[2, 3]", Refused(state => state["0.delora_B"] = state["0.delora_A"]));
        Assert.Contains("instead of [r, in]", Refused(state => state["0.delora_A"] = state["0.delora_w_norm"]));
        Assert.Contains("with and without", Refused(state => state.Add("base_model.model.0.delora_A", state["0.delora_A"])));
        Assert.Contains("LoRA", Refused(state => state.Add("0.lora_A.weight", state["0.delora_A"])));
        Assert.Contains("NaN or infinity", Refused(state => state["0.delora_lambda"] = Tensor.From<float>([float.NaN], [1], Devices.Cpu)));
        Assert.Contains("int32", Refused(state => state["0.delora_lambda"] = Tensor.From<int>([1], [1], Devices.Cpu)));
    }

    [Theory, InlineData(DType.BFloat16), InlineData(DType.Float16)]
    public void AnAdapterIsStoredInSixteenBitsAndReadBackAsFloat32(DType type)
    {
        using var folder = new TemporaryFolder();
        using PeftNetwork network = new();
        using var model = new PeftModel(network);
        model.AddAdapter(PeftNetwork.Config, new Generator(2));
        model.Save(folder.Path, type);
        using PeftNetwork fresh = new();
        using var loaded = new PeftModel(fresh);
        loaded.Load(folder.Path);
        float[] exact = ((DeloraAdapter)network.Lin0.Adapters["default"]).A.Value.ToArray<float>();
        Assert.Equal(exact.Select(value => type == DType.BFloat16 ? (float)(BFloat16)value : (float)(Half)value),
            ((DeloraAdapter)fresh.Lin0.Adapters["default"]).A.Value.ToArray<float>());

        // Stored again in the same type nothing changes; and a file can be injected by itself.
        loaded.Save(folder.File("again"), type);
        Assert.Equal(File.ReadAllBytes(folder.File(PeftModel.WeightsFileName)), File.ReadAllBytes(folder.File("again/" + PeftModel.WeightsFileName)));
        using PeftNetwork third = new();
        using var injected = new PeftModel(third);
        injected.Inject(folder.File(PeftModel.WeightsFileName));
        Assert.Equal(fresh.Run(), third.Run());

        ((DeloraAdapter)network.Lin0.Adapters["default"]).Lambda.Value.CopyFrom<float>([type == DType.Float16 ? 70000 : float.MaxValue]);
        Assert.Contains("delora_lambda", Assert.Throws<NonFiniteException>(() => model.Save(folder.Path, type)).Message);
        Assert.Throws<DTypeException>(() => model.Save(folder.Path, DType.Int32));
    }

    private static Dictionary<string, Tensor> Tensors(string module, int rank) => new()
    {
        [$"{module}.delora_A"] = Tensor.From([.. Enumerable.Range(1, rank * 3).Select(i => (float)i)], [rank, 3], Devices.Cpu),
        [$"{module}.delora_B"] = Tensor.From([.. Enumerable.Range(1, rank * 3).Select(i => (float)-i)], [3, rank], Devices.Cpu),
        [$"{module}.delora_lambda"] = Tensor.From<float>([2], [1], Devices.Cpu),
        [$"{module}.delora_w_norm"] = Tensor.From<float>([1, 2, 3], [3], Devices.Cpu),
    };
}
