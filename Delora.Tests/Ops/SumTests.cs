using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class SumTests
{
    private static readonly int[] s_lengths = [0, 1, 31, 32, 33, 127, 129, 1025];

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void ForwardAndBackwardMatchTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach (int n in (int[])[.. s_lengths, 20_001])
        {
            if (name == "simulator" && n > 200) continue;
            OpTesting.MatchesReference(device, d =>
            {
                Tensor y = OpTesting.Output([], d);
                SumKernel.Forward(OpTesting.Floats([n], d, n), y);
                return y;
            });
            OpTesting.MatchesReference(device, d =>
            {
                Tensor dx = OpTesting.Output([n], d);
                SumKernel.Backward(OpTesting.Floats([], d, 3), dx);
                return dx;
            });
        }
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void RowsMatchTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach (int rows in (int[])[0, 1, 3])
            foreach (int columns in s_lengths)
            {
                if (name == "simulator" && columns > 40) continue;
                OpTesting.MatchesReference(device, d =>
                {
                    Tensor y = OpTesting.Output([rows, 2], d);
                    SumKernel.ForwardRows(OpTesting.Floats([rows, 2, columns], d, columns), y);
                    return y;
                });
                OpTesting.MatchesReference(device, d =>
                {
                    Tensor dx = OpTesting.Output([rows, columns], d);
                    SumKernel.BackwardRows(OpTesting.Floats([rows], d, 4), dx);
                    return dx;
                });
            }
    }

    [Fact]
    public void TheBitsDoNotDependOnThreads() => OpTesting.IndependentOfThreads(d => OpTesting.Floats([100_003], d, 5).Sum());

    [Fact]
    public void GradientsMatchNumericalDifferentiation()
    {
        using Parameter x = OpTesting.Parameter("x", [3, 5], Devices.Reference, 6);
        GradientCheck.Numerical(() => x.Value.Sum(), [x]);
        GradientCheck.Numerical(() => x.Value.SumRows(), [x]);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void GradientsMatchAlongADirection(string name)
    {
        using Parameter x = OpTesting.Parameter("x", [3, 17], TestDevices.Get(name), 7);
        GradientCheck.Directional(() => x.Value.Sum(), [x]);
        GradientCheck.Directional(() => x.Value.SumRows(), [x]);
    }

    [Fact]
    public void RefusesAScalarPerRowAndWrongShapes()
    {
        using Tensor scalar = OpTesting.Floats([], Devices.Cpu, 1), vector = OpTesting.Floats([3], Devices.Cpu, 1);
        using Tensor y = OpTesting.Output([], Devices.Cpu);
        Assert.Throws<ShapeException>(() => SumKernel.ForwardRows(scalar, y));
        Assert.Throws<ShapeException>(() => SumKernel.Forward(vector, vector));
    }
}
