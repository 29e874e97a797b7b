using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class AdamWTests
{
    private static readonly AdamWSettings s_settings = new(LearningRate: 0.05, Beta1: 0.8, Beta2: 0.95, Epsilon: 1e-6, WeightDecay: 0.1);

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void StepsMatchTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach (int n in (int[])[0, 1, 31, 32, 33, 127, 129, 1025, 40_001])
            foreach (bool scaled in (bool[])[false, true])
            {
                if (name == "simulator" && n > 200) continue;
                (double[][] expected, double[][] actual) = (Run(Devices.Reference, n, scaled), Run(device, n, scaled));
                for (int i = 0; i < 3; i++) OpTesting.Close(expected[i], actual[i], 2e-6);
            }
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void AClosedGateLeavesEverythingAsItIs(string name)
    {
        using var scope = new TensorScope();
        Device d = TestDevices.Get(name);
        foreach (bool scaled in (bool[])[false, true])
            foreach ((double gate, bool closed) in ((double, bool)[])[(0, false), (double.NaN, true), (1, true)])
            {
                Tensor p = OpTesting.Floats([33], d, 1), m = OpTesting.Floats([33], d, 2), v = Tensor.Zeros([33], d.FloatType, d);
                double[][] before = [p.ToArray<double>(), m.ToArray<double>(), v.ToArray<double>()];
                AdamWKernel.Step(
                    p, OpTesting.Floats([33], d, 3), m, v, scaled ? Tensor.From([0.5], [1], d) : null, s_settings, 1, Tensor.From([gate], [1], d));
                double[][] after = [p.ToArray<double>(), m.ToArray<double>(), v.ToArray<double>()];
                for (int i = 0; i < 3; i++) Assert.Equal(closed, before[i].SequenceEqual(after[i]));
            }
    }

    [Fact]
    public void TheFirstStepHasTheLengthOfTheLearningRate()
    {
        // m/(1 − β₁) = g and √(v/(1 − β₂)) = |g|: without decay and epsilon p moves by lr against the sign of g.
        using var scope = new TensorScope();
        Device d = Devices.Reference;
        Tensor p = Tensor.From([1.0, 2, 3], [3], d), g = Tensor.From([1e-3, -5, 7e4], [3], d);
        AdamWKernel.Step(p, g, Tensor.Zeros([3], DType.Float64, d), Tensor.Zeros([3], DType.Float64, d), null, new(0.25, Epsilon: 0,
            WeightDecay: 0), 1);
        OpTesting.Close([0.75, 2.25, 2.75], p.ToArray<double>(), 1e-12);
    }

    [Fact]
    public void WeightDecayIsDecoupled()
    {
        using var scope = new TensorScope();
        Device d = Devices.Reference;
        Tensor p = Tensor.From([2.0], [1], d), zero = Tensor.Zeros([1], DType.Float64, d), m = Tensor.Zeros([1], DType.Float64, d);
        Tensor v = Tensor.Zeros([1], DType.Float64, d);
        AdamWKernel.Step(p, zero, m, v, null, new(0.1, WeightDecay: 0.5), 1);
        Assert.Equal((2 * 0.95, 0.0, 0.0), (p.ToScalar(), m.ToScalar(), v.ToScalar()));
    }

    [Fact]
    public void TheBitsDoNotDependOnThreads() => OpTesting.IndependentOfThreads(d =>
    {
        Tensor p = OpTesting.Floats([70_001], d, 1), m = OpTesting.Floats([70_001], d, 2), v = Tensor.Zeros([70_001], DType.Float32, d);
        AdamWKernel.Step(p, OpTesting.Floats([70_001], d, 3), m, v, null, s_settings, 3);
        return p;
    });

    [Fact]
    public void SettingsOutsideOfTheirRangesAreRefused()
    {
        using var scope = new TensorScope();
        Tensor x = Tensor.Zeros([1], DType.Float64, Devices.Reference);
        AdamWSettings[] wrong =
        [
            new(double.NaN), new(-1), new(double.PositiveInfinity), new(1, Beta1: 1), new(1, Beta2: -0.1), new(1, Epsilon: -1), new(1,
                WeightDecay: double.NaN),
        ];
        foreach (AdamWSettings settings in wrong) Assert.Throws<ArgumentOutOfRangeException>(() =>
            AdamWKernel.Step(x, x, x, x, null, settings, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => AdamWKernel.Step(x, x, x, x, null, s_settings, 0));
        Tensor other = Tensor.Zeros([2], DType.Float64, Devices.Reference);
        Assert.Throws<ShapeException>(() => AdamWKernel.Step(x, x, other, x, null, s_settings, 1));
        Assert.Throws<ShapeException>(() => AdamWKernel.Step(x, x, x, x, other, s_settings, 1));
    }

    private static double[][] Run(Device d, int n, bool scaled)
    {
        using var scope = new TensorScope();
        Tensor p = OpTesting.Floats([n], d, 1), m = Tensor.Zeros([n], d.FloatType, d), v = Tensor.Zeros([n], d.FloatType, d);
        Tensor? scale = scaled ? Tensor.From([0.25f], [1], d) : null;
        for (int step = 1; step <= 4; step++) AdamWKernel.Step(p, OpTesting.Floats([n], d, 10 + step), m, v, scale, s_settings, step);
        return [p.ToArray<double>(), m.ToArray<double>(), v.ToArray<double>()];
    }
}
