using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;
using Delora.Tests.Ops;

namespace Delora.Tests.Nn;

/// <summary>Adapters on an embedding: to them it is the linear layer of one-hot inputs, W [dim, vocabulary] being the table turned over.</summary>
public sealed class EmbeddingAdapterTests
{
    private const int Vocabulary = 9, Dim = 5;

    public static TheoryData<AdapterConfig> Adapters =>
    [
        new DeloraConfig { R = 3, DeloraLambda = 2, InitWeights = false, TargetModules = ["table"] },
        new DeloraConfig { R = 2, DeloraLambda = 2, ResidualInitialization = true, TargetModules = ["table"] },
        new LoraConfig { R = 3, InitWeights = false, TargetModules = ["table"] },
    ];

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void ItComputesWhatTheLinearLayerOfOneHotInputsDoes(string name)
    {
        Device device = TestDevices.Get(name);
        using var table = new Embedding(Table(device));
        using var scope = new TensorScope("test");
        using var linear = Linear.FromTransposed(Table(device));
        linear.Freeze();
        foreach (bool onEmbedding in (bool[])[true, false])
        {
            LinearAdapters adapters = onEmbedding ? table.Adapters : linear.Adapters;
            adapters.Add("delora", DeloraAdapter.Create(adapters.BaseColumnNorms(), Dim, 2, 3, new Generator(1), randomB: true, onEmbedding: onEmbedding));
            adapters.Add("lora", new LoraAdapter(
                OpTesting.Floats([3, Vocabulary], device, 5), OpTesting.Floats([Dim, 3], device, 6), 0.5, onEmbedding: onEmbedding));
            adapters.Activate("delora", "lora");
        }
        // w is the norm of each row of the table.
        double[] rows = Table(device).ToArray<double>();
        OpTesting.Close([.. rows.Chunk(Dim).Select(row => Math.Sqrt(row.Sum(value => value * value)))],
            ((DeloraAdapter)table.Adapters["delora"]).ColumnNorms.ToArray<double>(), 1e-6);

        Tensor ids = Ids(device);
        var hot = new double[6 * Vocabulary];
        foreach ((int id, int i) in ids.ToArray<int>().Select((id, i) => (id, i))) hot[i * Vocabulary + id] = 1;
        Tensor input = Tensor.From(hot, [2, 3, Vocabulary], device, "one-hot");
        double[] want = linear.Forward(input).ToArray<double>();
        Tensor got = table.Forward(ids);
        Assert.Equal([2, 3, Dim], got.Shape);
        OpTesting.Close(want, got.ToArray<double>(), 1e-5);

        table.Adapters.Merge("delora", "lora");
        OpTesting.Close(want, table.Forward(ids).ToArray<double>(), 1e-5);
        Assert.Throws<GradientException>(() =>
        {
            using var tape = new Tape();
            table.Forward(ids);
        });
        using Tensor one = table.Adapters["delora"].DeltaWeight(), two = table.Adapters["lora"].DeltaWeight();
        Assert.Equal([Dim, Vocabulary], one.Shape);
        double[] delta = [.. one.ToArray<double>().Zip(two.ToArray<double>(), (a, b) => a + b)], merged = table.OwnState().Single().State.Read().ToArray<double>();
        for (int v = 0; v < Vocabulary; v++)
            for (int d = 0; d < Dim; d++) Assert.Equal(rows[v * Dim + d] + delta[d * Vocabulary + v], merged[v * Dim + d], 1e-5);
        table.Adapters.Unmerge();
        Assert.Equal(rows, table.OwnState().Single().State.Read().ToArray<double>());
        table.Adapters.Enabled = false;
        using var plain = new Embedding(Table(device));
        Assert.Equal(plain.Forward(ids).ToArray<double>(), table.Forward(ids).ToArray<double>());
    }

    [Theory, MemberData(nameof(Adapters))]
    public void GradientsMatchNumericalDifferentiation(AdapterConfig config)
    {
        using var network = new Network(Devices.Reference);
        using var peft = new PeftModel(network);
        using Tensor ids = Ids(Devices.Reference);
        peft.AddAdapter(config, new Generator(1));
        peft.AddAdapter(new DeloraConfig { R = 1, InitWeights = false, TargetModules = ["table"] }, new Generator(2), "second");
        peft.Activate("default", "second");
        string[] names = [.. peft.TrainableParameters().Select(entry => entry.Name)];
        Assert.Contains(config is LoraConfig ? "base_model.model.table.lora_embedding_A.default" : "base_model.model.table.delora_embedding_A.default", names);
        Assert.Contains("base_model.model.table.delora_lambda.second", names);
        GradientCheck.Numerical(() => network.Table.Forward(ids), [.. peft.TrainableParameters().Select(entry => entry.Parameter)]);
    }

    [Fact]
    public void DropoutDropsTheBranchesOfWholeTokens()
    {
        using var network = new Network(Devices.Reference);
        using var peft = new PeftModel(network);
        var generator = new Generator(9);
        peft.AddAdapter(new DeloraConfig { R = 2, DeloraLambda = 3, InitWeights = false, ModuleDropout = 0.5, TargetModules = ["table"] }, generator);
        using var scope = new TensorScope("test");
        Tensor ids = Ids(Devices.Reference);
        double[][] Rows() => [.. network.Table.Forward(ids).ToArray<double>().Chunk(Dim)];
        double[][] whole = Rows(), bare;
        using (peft.Disable()) bare = Rows();
        network.Train();
        GeneratorState state = generator.State;
        double[][] dropped = Rows();
        int kept = 0;
        for (int i = 0; i < whole.Length; i++)
        {
            // Either the base row, or the branch twice as strong.
            double[] doubled = [.. whole[i].Zip(bare[i], (a, b) => b + 2 * (a - b))];
            bool isKept = Math.Abs(dropped[i][0] - doubled[0]) < 1e-12;
            OpTesting.Close(isKept ? doubled : bare[i], dropped[i], 1e-12);
            kept += isKept ? 1 : 0;
        }
        Assert.InRange(kept, 1, whole.Length - 1);
        GradientCheck.Numerical(() =>
        {
            generator.State = state;
            return network.Table.Forward(ids);
        }, [.. peft.TrainableParameters().Select(entry => entry.Parameter)]);
    }

    [Theory, MemberData(nameof(Adapters))]
    public void WhatIsSavedIsReadAgain(AdapterConfig config)
    {
        using var folder = new TemporaryFolder();
        using var network = new Network(Devices.Cpu);
        using var scope = new TensorScope("test");
        Tensor ids = Ids(Devices.Cpu);
        float[] want;
        using (var peft = new PeftModel(network))
        {
            List<string> warnings = [];
            peft.AddAdapter(config, new Generator(1), warn: warnings.Add);
            Assert.Equal(config is DeloraConfig, warnings.Any(warning => warning.Contains("table: PEFT has no DeLoRA on modules of the kind Embedding", StringComparison.Ordinal)));
            foreach ((_, Parameter parameter) in peft.TrainableParameters())
                parameter.Value.CopyFrom(OpTesting.Floats(parameter.Shape, Devices.Cpu, 8));
            want = network.Table.Forward(ids).ToArray<float>();
            peft.Save(folder.Path);
        }
        int rank = config is DeloraConfig { ResidualInitialization: true } ? 2 * config.R : config.R;
        using (SafetensorsFile file = SafetensorsFile.Open(folder.File(PeftModel.WeightsFileName)))
        {
            string[] keys = config is LoraConfig ? LoraAdapter.Keys(onEmbedding: true) : DeloraAdapter.Keys(onEmbedding: true);
            Assert.Equal(keys.Select(key => $"base_model.model.table.{key}").Order(StringComparer.Ordinal), file.Entries.Select(entry => entry.Name));
            Assert.Equal([rank, Vocabulary], file[$"base_model.model.table.{keys[0]}"].Shape);
            Assert.Equal([Dim, rank], file[$"base_model.model.table.{keys[1]}"].Shape);
        }
        Assert.Equal(config is DeloraConfig, File.ReadAllText(folder.File(AdapterConfig.FileName)).Contains("\"Embedding\"", StringComparison.Ordinal));
        using var again = new PeftModel(network);
        again.Load(folder.Path, strict: true);
        OpTesting.Close([.. want.Select(value => (double)value)], network.Table.Forward(ids).ToArray<double>(), 1e-6);
        foreach ((double norm, double? bound) in again.BoundReport().Layers.Select(layer => (layer.Norm, layer.Bound)))
        {
            using Tensor delta = Assert.Single(again.AdaptedLayers).Layer.Adapters["default"].DeltaWeight();
            Assert.Equal(Math.Sqrt(delta.ToArray<double>().Sum(value => value * value)), norm, 1e-4);
            Assert.True(bound is null || norm <= bound * (1 + 1e-5), $"{norm} > {bound}");
        }
    }

    [Fact]
    public void ANewAdapterStartsAsTheBaseModel()
    {
        using var network = new Network(Devices.Cpu);
        using var scope = new TensorScope("test");
        Tensor ids = Ids(Devices.Cpu);
        float[] want = network.Table.Forward(ids).ToArray<float>();
        foreach (AdapterConfig config in (AdapterConfig[])[new DeloraConfig { TargetModules = ["table"] }, new LoraConfig { TargetModules = ["table"] }])
        {
            using var peft = new PeftModel(network);
            peft.AddAdapter(config, new Generator(1));
            Assert.Equal(want, network.Table.Forward(ids).ToArray<float>());
            Assert.Contains(peft.TrainableParameters(), entry => entry.Parameter.Value.ToArray<float>().Any(value => value != 0));
        }
    }

    [Fact]
    public void ATiedTableTakesAdaptersThatLeaveTheOutputLayerAlone()
    {
        using GPT2LMHeadModel model = TinyGPT2.Create();
        using var peft = new PeftModel(model);
        List<string> warnings = [];
        peft.AddAdapter(new DeloraConfig { R = 2, InitWeights = false, TargetModules = ["wte"] }, new Generator(1), warn: warnings.Add);
        Assert.Contains(warnings, warning => warning.Contains("'transformer.wte' shares its weight with the output layer", StringComparison.Ordinal));
        using var scope = new TensorScope("test");
        var table = (Embedding)model.GetModule("transformer.wte");
        var head = (Linear)model.GetModule("lm_head");
        double[] weight = head.CopyWeight().ToArray<double>();
        Tensor ids = TinyLlama.Ids([1, 4], Devices.Cpu);
        // The branch is the product with ΔW, as for the tied rows.
        using Tensor delta = table.Adapters["default"].DeltaWeight();
        double[] change = delta.ToArray<double>(), rows = table.Forward(ids).ToArray<double>();
        foreach ((int id, int i) in ids.ToArray<int>().Select((id, i) => (id, i)))
            for (int d = 0; d < table.Out; d++)
                Assert.Equal(weight[id * table.Out + d] + change[d * table.In + id], rows[i * table.Out + d], 1e-5);
        Assert.Equal(weight, head.CopyWeight().ToArray<double>());

        peft.Merge();
        OpTesting.Close(rows, table.Forward(ids).ToArray<double>(), 1e-5);
        Assert.NotEqual(weight, head.CopyWeight().ToArray<double>());
        peft.Unmerge();
        Assert.Equal(weight, head.CopyWeight().ToArray<double>());

        // One weight cannot take the adapters of both.
        peft.AddAdapter(new DeloraConfig { R = 2, InitWeights = false, TargetModules = ["wte", "lm_head"] }, new Generator(2), "both");
        Assert.Contains("another layer's as well", Assert.Throws<InvalidOperationException>(() => peft.Merge()).Message);
        Assert.All(peft.AdaptedLayers, pair => Assert.Empty(pair.Layer.Adapters.Merged));
        Assert.Equal(weight, head.CopyWeight().ToArray<double>());
    }

    [Fact]
    public void AllLinearLeavesTablesOutAndAnAdapterOfTheOtherKindIsRefused()
    {
        using GPT2LMHeadModel model = TinyGPT2.Create();
        using var peft = new PeftModel(model);
        peft.AddAdapter(new DeloraConfig { R = 2, TargetModules = ModuleSelector.AllLinear }, new Generator(1));
        Assert.All(peft.AdaptedLayers, pair => Assert.Equal(ModuleKind.Conv1D, pair.Layer.Kind));
        var table = (Embedding)model.GetModule("transformer.wpe");
        using LoraAdapter adapter = LoraAdapter.Create(table.In, table.Out, 2, 1, Devices.Cpu, new Generator(1));
        Assert.Contains("made for a linear layer", Assert.Throws<ArgumentException>(() => table.Adapters.Add("default", adapter)).Message);
    }

    [Fact]
    public void ThePositionsOfAWholeModelLearn()
    {
        using GPT2LMHeadModel model = TinyGPT2.Create();
        using var peft = new PeftModel(model);
        peft.AddAdapter(new DeloraConfig { R = 2, DeloraLambda = 1, TargetModules = ["wte", "wpe"] }, new Generator(1));
        using var optimizer = new AdamW(peft.TrainableParameters().Select(entry => entry.Parameter), 0.02);
        using Tensor ids = TinyLlama.Ids([2, 8], Devices.Cpu), targets = TinyLlama.Ids([2, 8], Devices.Cpu, seed: 4);
        List<double> losses = [];
        for (int step = 0; step < 12; step++)
        {
            optimizer.ZeroGradients();
            using var tape = new Tape();
            Tensor loss = model.Loss(ids, targets);
            tape.Backward(loss);
            losses.Add(loss.ToScalar());
            optimizer.Step();
        }
        Assert.True(losses[^1] < losses[0] - 0.1, string.Join(", ", losses));
    }

    private static Tensor Table(Device device) => OpTesting.Floats([Vocabulary, Dim], device, 1);

    private static Tensor Ids(Device device) => Tensor.From([1, 8, 1, 0, 3, 1], [2, 3], device, "ids");

    private sealed class Network : Module
    {
        internal Network(Device device) => Table = Register("table", new Embedding(EmbeddingAdapterTests.Table(device)));

        internal Embedding Table { get; }
    }
}
