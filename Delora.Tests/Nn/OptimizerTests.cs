using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn;

public sealed class OptimizerTests
{
    private static Parameter Make(Device device, string name, params double[] values) =>
        new(name, Tensor.From(values, [values.Length], device));

    private static void SetGradient(Parameter parameter, params double[] values) => parameter.Gradient!.CopyFrom<double>(values);

    [Fact]
    public void SgdWithMomentumFollowsItsFormula()
    {
        using Parameter p = Make(Devices.Reference, "p", 1, -2);
        using (var sgd = new Sgd([p], learningRate: 0.1, momentum: 0.5, weightDecay: 0.25))
        {
            SetGradient(p, 0.75, 1);
            sgd.Step();
            // d = g + 0.25 p = (1, 0.5); b = d; p -= 0.1 b
            Assert.Equal([0.9, -2.05], p.Value.ToArray<double>(), (a, b) => Math.Abs(a - b) < 1e-15);
            SetGradient(p, 0, 0);
            sgd.Step();
            // d = (0.225, -0.5125); b = 0.5 b + d = (0.725, -0.2625)
            Assert.Equal([0.8275, -2.02375], p.Value.ToArray<double>(), (a, b) => Math.Abs(a - b) < 1e-15);
        }
        Assert.Null(p.Arena);
        Assert.Equal(0.8275, p.Value.ToArray<double>()[0], 1e-15);
    }

    [Fact]
    public void WithoutMemoryForTheMomentsTheParametersStayAsTheyWere()
    {
        // Blocks of 256 bytes: values, gradients, norm (in what was p's), scale, first moment; none for the second.
        using var device = new Core.LimitedDevice(5 * 256);
        using Parameter p = Make(device, "p", 1, -2);
        Assert.Throws<DeviceMemoryException>(() => new AdamW([p]));
        Assert.Null(p.Arena);
        Assert.Equal([1, -2], p.Value.ToArray<float>());
        Assert.Equal(1, device.Memory.Statistics.LiveAllocations);
        using var sgd = new Sgd([p], momentum: 0.9);
        Assert.NotNull(p.Arena);
    }

    [Fact]
    public void ALearningRateThatIsNoNumberMovesNothing()
    {
        using Parameter p = Make(Devices.Reference, "p", 1);
        using var sgd = new Sgd([new ParameterGroup([p]) { LearningRate = 1 }]);
        SetGradient(p, 1);
        foreach (double wrong in (double[])[double.NaN, double.PositiveInfinity, -1, 1e39])
        {
            sgd.LearningRateFactor = wrong;
            Assert.Throws<ArgumentOutOfRangeException>(() => sgd.Step());
            (sgd.LearningRateFactor, sgd.LearningRate) = (1, wrong);
            Assert.Throws<ArgumentOutOfRangeException>(() => sgd.Step());
            sgd.LearningRate = 1;
        }
        // Each of the two is finite as float32, their product is not.
        using Parameter q = Make(Devices.Reference, "q", 1);
        using var other = new Sgd([new ParameterGroup([q]) { LearningRate = 1e20 }]) { LearningRateFactor = 1e20 };
        SetGradient(q, 1);
        string message = Assert.Throws<ArgumentOutOfRangeException>(() => other.Step()).Message;
        Assert.Contains("LearningRate · LearningRateFactor must be ≥ 0 and finite as float32", message);
        Assert.Equal([1, 1], (double[])[p.Value.ToScalar(), q.Value.ToScalar()]);
    }

    [Fact]
    public void EachGroupHasItsOwnLearningRateAndWeightDecay()
    {
        using Parameter a = Make(Devices.Reference, "a", 1), b = Make(Devices.Reference, "b", 1);
        using var adam =
            new AdamW([new ParameterGroup([a]), new ParameterGroup([b]) { LearningRate = 0.5, WeightDecay = 0 }], 0.1, weightDecay: 0.2);
        SetGradient(a, 3);
        SetGradient(b, -3);
        adam.LearningRateFactor = 0.5;
        adam.Step();
        // The first step of Adam is the sign of the gradient, after the decay by lr·weight_decay.
        Assert.Equal(1 - 0.05 * 0.2 - 0.05, a.Value.ToScalar(), 1e-9);
        Assert.Equal(1 + 0.25, b.Value.ToScalar(), 1e-8);
        Assert.Equal(1, adam.StepCount);
    }

    [Fact]
    public void ClippingTakesTheNormOverAllGroups()
    {
        using Parameter a = Make(Devices.Reference, "a", 0), b = Make(Devices.Reference, "b", 0, 0);
        using var sgd = new Sgd([new ParameterGroup([a]), new ParameterGroup([b])], learningRate: 1);
        SetGradient(a, 3);
        SetGradient(b, 0, 4);
        Assert.Equal(5, sgd.GradientNorm(), 1e-12);
        sgd.Step(maxGradientNorm: 1);
        Assert.Equal(-0.6, a.Value.ToScalar(), 1e-6);
        Assert.Equal([0, -0.8], b.Value.ToArray<double>(), (x, y) => Math.Abs(x - y) < 1e-6);
    }

    [Theory]
    [MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void StepsAreThoseOfTheReferenceDevice(string device)
    {
        double[] expected = Run(Devices.Reference), got = Run(TestDevices.Get(device));
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], got[i], 2e-6);

        static double[] Run(Device device)
        {
            var random = new Random(5);
            double[] Draw(int n) => [.. Enumerable.Range(0, n).Select(_ => random.NextDouble() - 0.5)];
            using Parameter a = Make(device, "a", Draw(33)), b = Make(device, "b", Draw(7));
            using var adam = new AdamW([new ParameterGroup([a]), new ParameterGroup([b]) { LearningRate = 0.03 }]);
            for (int step = 0; step < 4; step++)
            {
                SetGradient(a, Draw(33));
                SetGradient(b, Draw(7));
                adam.Step(maxGradientNorm: step % 2);
            }
            return [.. a.Value.ToArray<double>(), .. b.Value.ToArray<double>()];
        }
    }

    [Fact]
    public void AResumedOptimizerTakesTheSameSteps()
    {
        using Parameter p = Make(Devices.Reference, "p", 1, 2, 3), q = Make(Devices.Reference, "q", 1, 2, 3);
        using var first = new AdamW([p]);
        SetGradient(p, 1, -1, 0.5);
        first.Step();
        q.Value.CopyFrom(p.Value);
        using var second = new AdamW([q]);
        using var scope = new TensorScope();
        second.LoadState(first.State.ToDictionary(entry => entry.Name, entry => Tensor.CopyOf(entry.Tensor, Devices.Reference)),
            first.StepCount);
        SetGradient(p, 2, 2, 2);
        SetGradient(q, 2, 2, 2);
        first.Step();
        second.Step();
        Assert.Equal(p.Value.ToArray<double>(), q.Value.ToArray<double>());
    }

    [Fact]
    public void AStateThatDoesNotFitChangesNothing()
    {
        using Parameter p = Make(Devices.Reference, "p", 1, 2, 3);
        using var adam = new AdamW([p]);
        using var scope = new TensorScope();
        Tensor good = Tensor.From(Enumerable.Repeat(1.0, 16).ToArray(), [16], Devices.Reference);
        Tensor small = Tensor.From([1.0], [1], Devices.Reference);
        DeloraFormatException Refused(params (string, Tensor)[] state) =>
            Assert.Throws<DeloraFormatException>(() => adam.LoadState(state.ToDictionary(), 3, "optimizer.safetensors"));
        Assert.Equal("exp_avg_sq.0", Refused(("exp_avg.0", good)).Field);
        Assert.Equal("exp_avg_sq.0", Refused(("exp_avg.0", good), ("exp_avg_sq.0", small)).Field);
        Assert.Equal("other", Refused(("exp_avg.0", good), ("exp_avg_sq.0", good), ("other", good)).Field);
        Assert.Equal(0, adam.StepCount);
        Assert.All(adam.State, entry => Assert.Equal(0, entry.Tensor.ToArray<double>().Sum()));
    }

    [Fact]
    public void FrozenParametersAndWrongSettingsAreRefused()
    {
        using Parameter p = Make(Devices.Reference, "p", 1), q = Make(Devices.Reference, "q", 1);
        q.RequiresGradient = false;
        Assert.Contains("'q' [1] is frozen", Assert.Throws<InvalidOperationException>(() => new AdamW([p, q])).Message);
        Assert.Throws<ArgumentOutOfRangeException>(() => new AdamW([p], learningRate: double.NaN));
        Assert.Throws<ArgumentOutOfRangeException>(() => new Sgd([new ParameterGroup([p]) { WeightDecay = -1 }]));
        Assert.Throws<ArgumentOutOfRangeException>(() => new Sgd([new ParameterGroup([p]) { LearningRate = 1e39 }]));
        Assert.Throws<ArgumentOutOfRangeException>(() => new AdamW([p], weightDecay: 1e39));
        Assert.Throws<ArgumentOutOfRangeException>(() => new Sgd([p], learningRate: 1e39));
        Assert.Throws<ArgumentException>(() => new Sgd([new ParameterGroup([p]), new ParameterGroup([p])]));
        Assert.Null(p.Arena);
        using var sgd = new Sgd([p]);
        p.RequiresGradient = false;
        Assert.Throws<InvalidOperationException>(() => sgd.Step());
        Assert.Equal(1, p.Value.ToScalar());
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void GradientsOfTwoRanksSumToThoseOfTheLargeBatch(string name)
    {
        // Two ranks with the same parameters, a group for every λ and one for the rest: one sum a group is all that they have to exchange.
        Device device = TestDevices.Get(name);
        double[] together = Train([(0, 6)]), apart = Train([(0, 3), (3, 3)]);
        Assert.Equal(together.Length, apart.Length);
        for (int i = 0; i < together.Length; i++) Assert.Equal(together[i], apart[i], 2e-5 * Math.Max(1, Math.Abs(together[i])));

        double[] Train((int Start, int Rows)[] ranks)
        {
            using var scope = new TensorScope();
            var networks = ranks.Select(_ => new PeftNetwork(seed: 3, device, width: 6)).ToList();
            var models = networks.ConvertAll(network => new PeftModel(network));
            foreach (PeftModel model in models) model.AddAdapter(PeftNetwork.Config, new Generator(5));
            var optimizers = models.ConvertAll(model => new AdamW(Groups(model), learningRate: 0.01));
            for (int step = 0; step < 2; step++)
            {
                for (int rank = 0; rank < ranks.Length; rank++) Backward(networks[rank], ranks[rank].Start, ranks[rank].Rows);
                AllReduce(optimizers);
                foreach (AdamW optimizer in optimizers)
                {
                    optimizer.Step(maxGradientNorm: 0.5);
                    optimizer.ZeroGradients();
                }
            }
            double[][] values = [.. models.Select(Values)];
            for (int rank = 1; rank < ranks.Length; rank++) Assert.Equal(values[0], values[rank]);
            optimizers.ForEach(optimizer => optimizer.Dispose());
            models.ForEach(model => model.Dispose());
            networks.ForEach(network => network.Dispose());
            return values[0];
        }

        void Backward(PeftNetwork network, int start, int rows)
        {
            using var tape = new Tape();
            Tensor x = Tensor.From([.. Enumerable.Range(start * 10, rows * 10).Select(i => Math.Sin(i))], [rows, 10], device);
            Tensor labels = Tensor.FromIndices([.. Enumerable.Range(start, rows).Select(i => i % 2)], [rows], device);
            tape.Backward(network.Lin1.Forward(network.Lin0.Forward(x).Relu()).CrossEntropy(labels));
        }

        // The mean over all ranks, in the flat gradients themselves.
        static void AllReduce(List<AdamW> optimizers)
        {
            for (int group = 0; group < optimizers[0].Gradients.Count; group++)
            {
                Tensor sum = optimizers[0].Gradients[group];
                foreach (AdamW other in optimizers.Skip(1)) AddKernel.Forward(sum, other.Gradients[group], sum);
                ScaleKernel.Forward(sum, 1f / optimizers.Count, sum);
                foreach (AdamW other in optimizers.Skip(1)) other.Gradients[group].CopyFrom(sum);
            }
        }

        static ParameterGroup[] Groups(PeftModel model)
        {
            ILookup<bool, Parameter> parameters = model.TrainableParameters()
                .ToLookup(entry => entry.Name.Contains("lambda", StringComparison.Ordinal), entry => entry.Parameter);
            return [new([.. parameters[false]]), new([.. parameters[true]]) { LearningRate = 0.02 }];
        }

        static double[] Values(PeftModel model) =>
            [.. model.TrainableParameters().SelectMany(entry => entry.Parameter.Value.ToArray<double>())];
    }
}
