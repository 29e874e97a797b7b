using Delora.Autograd;
using Delora.Core;
using Delora.Nn;

namespace Delora.Tests.Nn.Adapters;

/// <summary>
/// Adapters that are folded together compute what each computes that folds by itself: to the last bit, unless a layer is used more than once.
/// </summary>
public sealed class FoldAheadTests
{
    public static TheoryData<string, string> Uses
    {
        get
        {
            var rows = new TheoryData<string, string>();
            foreach (TheoryDataRow<string> device in TestDevices.GpuNames)
                foreach (string use in (string[])["plain", "two adapters", "residual", "dropout", "rows", "disabled", "one layer", "twice", "detached", "failed"])
                    rows.Add(new(device.Data, use) { Skip = device.Skip, Traits = { ["Device"] = [device.Data] } });
            return rows;
        }
    }

    [Theory, MemberData(nameof(Uses))]
    public void TheBitsAreThoseOfLayersThatFoldByThemselves(string name, string use)
    {
        Device device = TestDevices.Get(name);
        double[] alone = Run(ahead: false), together = Run(ahead: true);
        Assert.NotEmpty(alone);
        // A layer that is used twice then folds once: its gradients are added before the fold instead of after.
        if (use == "twice") Ops.OpTesting.Close(alone, together, 1e-5);
        else Assert.Equal(alone, together);

        double[] Run(bool ahead)
        {
            using var scope = new TensorScope();
            using var network = new PeftNetwork(seed: 3, device, width: 6);
            using var model = new PeftModel(network);
            DeloraConfig config = PeftNetwork.Config with
            {
                InitWeights = use == "residual",
                ResidualInitialization = use == "residual",
                ModuleDropout = use == "dropout" ? 0.5 : 0,
            };
            model.AddAdapter(config, new Generator(5));
            if (use is "two adapters" or "rows") model.AddAdapter(config with { R = 3 }, new Generator(6), "other");
            if (use == "two adapters") model.Activate("default", "other");
            network.Train();
            using var optimizer = new AdamW([.. model.TrainableParameters().Select(entry => entry.Parameter)], learningRate: 0.01);
            List<double> seen = [];
            for (int step = 0; step < 2; step++)
            {
                using IDisposable? chosen = use == "rows" ? model.Rows("default", "other", PeftModel.BaseRow).Use() : null;
                using (var tape = new Tape())
                {
                    Tensor loss;
                    using (ahead ? model.FoldAhead() : null) loss = Loss(model, network);
                    if (loss.GradientState is not null) tape.Backward(loss);
                    seen.AddRange(loss.ToArray<double>());
                }
                optimizer.Step();
                seen.AddRange(model.TrainableParameters().SelectMany(entry => entry.Parameter.Gradient!.ToArray<double>()));
                optimizer.ZeroGradients();
            }
            return [.. seen, .. model.TrainableParameters().SelectMany(entry => entry.Parameter.Value.ToArray<double>())];
        }

        Tensor Loss(PeftModel model, PeftNetwork network)
        {
            Tensor x = Tensor.From([.. Enumerable.Range(0, 30).Select(i => Math.Sin(i))], [3, 10], device);
            if (use == "failed") Assert.Throws<ShapeException>(() => network.Lin1.Forward(x));
            Tensor hidden;
            using (use == "disabled" ? model.Disable() : null) hidden = network.Lin0.Forward(x);
            if (use == "twice") hidden = hidden.Add(network.Lin0.Forward(x.Scale(0.5f)));
            if (use == "one layer") return hidden.Sum();
            if (use == "detached") hidden = hidden.Detach();
            return network.Lin1.Forward(hidden.Relu()).Sum();
        }
    }

    [Fact]
    public void WhereNothingIsGainedNothingIsDone()
    {
        using var scope = new TensorScope();
        using var network = new PeftNetwork();
        using var model = new PeftModel(network);
        model.AddAdapter(PeftNetwork.Config, new Generator(5));
        using (model.FoldAhead()) network.Run();
        using var tape = new Tape();
        using (model.FoldAhead()) Assert.Equal(0, tape.Count);
    }

    [Theory, MemberData(nameof(TestDevices.GpuNames), MemberType = typeof(TestDevices))]
    public void OneFoldIsRecordedForAllLayersAndUnderAnotherTapeAnAdapterFoldsByItself(string name)
    {
        using var scope = new TensorScope();
        using var network = new PeftNetwork(device: TestDevices.Get(name), width: 6);
        using var model = new PeftModel(network);
        model.AddAdapter(PeftNetwork.Config, new Generator(5));
        var adapter = (DeloraAdapter)network.Lin0.Adapters["default"];
        using var tape = new Tape();
        using (model.FoldAhead())
        {
            Assert.Equal(1, tape.Count);
            Assert.Same(adapter.Fold().A, adapter.Fold().A);
            Tensor ahead = adapter.Fold().A;
            using (Tape.Pause()) Assert.Null(adapter.Fold().A.GradientState);
            using (var inner = new Tape())
            {
                Assert.NotSame(ahead, adapter.Fold().A);
                Assert.Equal(1, inner.Count);
            }
            Assert.Same(ahead, adapter.Fold().A);
        }
        adapter.Fold();
        Assert.Equal(2, tape.Count);
    }
}
