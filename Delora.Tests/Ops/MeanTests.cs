using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class MeanTests
{
    private static readonly int[] s_lengths = [1, 31, 32, 33, 127, 129, 1025];

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
                MeanKernel.Forward(OpTesting.Floats([n], d, n), y);
                return y;
            });
            OpTesting.MatchesReference(device, d =>
            {
                Tensor dx = OpTesting.Output([n], d);
                MeanKernel.Backward(OpTesting.Floats([], d, 3), dx);
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
                    MeanKernel.ForwardRows(OpTesting.Floats([rows, 2, columns], d, columns), y);
                    return y;
                });
                OpTesting.MatchesReference(device, d =>
                {
                    Tensor dx = OpTesting.Output([rows, columns], d);
                    MeanKernel.BackwardRows(OpTesting.Floats([rows], d, 4), dx);
                    return dx;
                });
            }
    }

    [Fact]
    public void TheBitsDoNotDependOnThreads() => OpTesting.IndependentOfThreads(d => OpTesting.Floats([100_003], d, 5).Mean());

    [Fact]
    public void GradientsMatchNumericalDifferentiation()
    {
        using Parameter x = OpTesting.Parameter("x", [3, 5], Devices.Reference, 6);
        GradientCheck.Numerical(() => x.Value.Mean(), [x]);
        GradientCheck.Numerical(() => x.Value.MeanRows(), [x]);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void GradientsMatchAlongADirection(string name)
    {
        using Parameter x = OpTesting.Parameter("x", [3, 17], TestDevices.Get(name), 7);
        GradientCheck.Directional(() => x.Value.Mean(), [x]);
        GradientCheck.Directional(() => x.Value.MeanRows(), [x]);
    }

    [Fact]
    public void AMeanOverNothingIsRefused()
    {
        // A refused op leaves its output to the scope.
        using var scope = new TensorScope();
        Tensor nothing = OpTesting.Floats([0], Devices.Cpu, 1), rows = OpTesting.Floats([2, 0], Devices.Cpu, 1);
        Assert.Throws<ShapeException>(() => nothing.Mean());
        Assert.Throws<ShapeException>(() => rows.MeanRows());
    }
}
