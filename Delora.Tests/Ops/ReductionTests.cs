using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

/// <summary>What a reduction over everything and over rows is tested for, beside what only one of them refuses.</summary>
public abstract class ReductionTests
{
    private static readonly int[] s_lengths = [1, 31, 32, 33, 127, 129, 1025];

    /// <summary>Whether there is a result over no elements at all.</summary>
    protected abstract bool ReducesNothing { get; }

    private int[] Lengths => ReducesNothing ? [0, .. s_lengths] : s_lengths;

    protected abstract void Forward(Tensor x, Tensor y);

    protected abstract void Backward(Tensor dy, Tensor dx);

    protected abstract void ForwardRows(Tensor x, Tensor y);

    protected abstract void BackwardRows(Tensor dy, Tensor dx);

    protected abstract Tensor Function(Tensor x);

    protected abstract Tensor FunctionOfRows(Tensor x);

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void ForwardAndBackwardMatchTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach (int n in (int[])[.. Lengths, 20_001])
        {
            if (name == "simulator" && n > 200) continue;
            OpTesting.MatchesReference(device, d =>
            {
                Tensor y = OpTesting.Output([], d);
                Forward(OpTesting.Floats([n], d, n), y);
                return y;
            });
            OpTesting.MatchesReference(device, d =>
            {
                Tensor dx = OpTesting.Output([n], d);
                Backward(OpTesting.Floats([], d, 3), dx);
                return dx;
            });
        }
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void RowsMatchTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach (int rows in (int[])[0, 1, 3])
            foreach (int columns in Lengths)
            {
                if (name == "simulator" && columns > 40) continue;
                OpTesting.MatchesReference(device, d =>
                {
                    Tensor y = OpTesting.Output([rows, 2], d);
                    ForwardRows(OpTesting.Floats([rows, 2, columns], d, columns), y);
                    return y;
                });
                OpTesting.MatchesReference(device, d =>
                {
                    Tensor dx = OpTesting.Output([rows, columns], d);
                    BackwardRows(OpTesting.Floats([rows], d, 4), dx);
                    return dx;
                });
            }
    }

    [Fact]
    public void TheBitsDoNotDependOnThreads() => OpTesting.IndependentOfThreads(d => Function(OpTesting.Floats([100_003], d, 5)));

    [Fact]
    public void GradientsMatchNumericalDifferentiation()
    {
        using Parameter x = OpTesting.Parameter("x", [3, 5], Devices.Reference, 6);
        GradientCheck.Numerical(() => Function(x), [x]);
        GradientCheck.Numerical(() => FunctionOfRows(x), [x]);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void GradientsMatchAlongADirection(string name)
    {
        using Parameter x = OpTesting.Parameter("x", [3, 17], TestDevices.Get(name), 7);
        GradientCheck.Directional(() => Function(x), [x]);
        GradientCheck.Directional(() => FunctionOfRows(x), [x]);
    }
}
