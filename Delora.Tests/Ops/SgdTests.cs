using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class SgdTests
{
    private static readonly SgdSettings[] s_settings =
        [new(0.1), new(0.1, WeightDecay: 0.2), new(0.1, Momentum: 0.9), new(0.1, 0.9, 0.2), new(0.1, 0.9, 0.2, Nesterov: true)];

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void StepsMatchTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach (int n in (int[])[0, 1, 31, 32, 33, 127, 129, 1025, 40_001])
            foreach (SgdSettings settings in s_settings)
                foreach (bool scaled in (bool[])[false, true])
                {
                    if (name == "simulator" && n > 200) continue;
                    OpTesting.MatchesReference(device, d => Run(d, n, settings, scaled), 2e-6);
                }
    }

    [Theory, MemberData(nameof(TestDevices.AllNames), MemberType = typeof(TestDevices))]
    public void AClosedGateLeavesEverythingAsItIs(string name)
    {
        using var scope = new TensorScope();
        Device d = TestDevices.Get(name);
        foreach (double momentum in (double[])[0, 0.9])
            foreach ((double gate, bool closed) in ((double, bool)[])[(0, false), (double.NaN, true), (1, true)])
            {
                Tensor p = OpTesting.Floats([33], d, 1);
                Tensor? buffer = momentum > 0 ? OpTesting.Floats([33], d, 2) : null;
                double[] before = p.ToArray<double>(), moved = buffer?.ToArray<double>() ?? [];
                SgdKernel.Step(p, OpTesting.Floats([33], d, 3), buffer, null, new(0.1, momentum), 2, Tensor.From([gate], [1], d));
                Assert.Equal(closed, before.SequenceEqual(p.ToArray<double>()));
                if (buffer is not null) Assert.Equal(closed, moved.SequenceEqual(buffer.ToArray<double>()));
            }
    }

    [Fact]
    public void MomentumIsPyTorchs()
    {
        // By hand, lr 1, momentum 0.5, g = 1, 2, 3: b = 1, 2.5, 4.25; without Nesterov p = −b summed, with it −(g + 0.5 b) summed.
        Assert.Equal(-7.75, ThreeSteps(new(1, 0.5)), 1e-12);
        Assert.Equal(-(1.5 + 3.25 + 5.125), ThreeSteps(new(1, 0.5, Nesterov: true)), 1e-12);
        Assert.Equal(-6, ThreeSteps(new(1)), 1e-12);
    }

    [Fact]
    public void TheBitsDoNotDependOnThreads() => OpTesting.IndependentOfThreads(d => Run(d, 70_001, s_settings[^1], true));

    [Fact]
    public void SettingsOutsideOfTheirRangesAreRefused()
    {
        using var scope = new TensorScope();
        Tensor x = Tensor.Zeros([1], DType.Float64, Devices.Reference);
        SgdSettings[] wrong = [new(double.NaN), new(-1), new(1, -0.5), new(1, 0, double.NaN), new(1, Nesterov: true)];
        foreach (SgdSettings settings in wrong) Assert.Throws<ArgumentOutOfRangeException>(() =>
            SgdKernel.Step(x, x, x, null, settings, 1));
        Assert.Throws<ArgumentException>(() => SgdKernel.Step(x, x, null, null, new(1, 0.5), 1));
        Assert.Throws<ArgumentException>(() => SgdKernel.Step(x, x, x, null, new(1), 1));
    }

    private static double ThreeSteps(SgdSettings settings)
    {
        using var scope = new TensorScope();
        Device d = Devices.Reference;
        Tensor p = Tensor.Zeros([1], DType.Float64, d);
        Tensor? buffer = settings.Momentum > 0 ? OpTesting.Output([1], d) : null;
        for (int step = 1; step <= 3; step++) SgdKernel.Step(p, Tensor.From([(double)step], [1], d), buffer, null, settings, step);
        return p.ToScalar();
    }

    private static Tensor Run(Device d, int n, SgdSettings settings, bool scaled)
    {
        Tensor p = OpTesting.Floats([n], d, 1);
        Tensor? buffer = settings.Momentum > 0 ? OpTesting.Output([n], d) : null, scale = scaled ? Tensor.From([0.25f], [1], d) : null;
        for (int step = 1; step <= 4; step++) SgdKernel.Step(p, OpTesting.Floats([n], d, 10 + step), buffer, scale, settings, step);
        return p;
    }
}
