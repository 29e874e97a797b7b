using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class RowNormTests
{
    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void ForwardAndBackwardMatchTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach (int rows in (int[])[0, 1, 3, 33])
            foreach (int columns in (int[])[0, 1, 31, 32, 33, 127, 129, 1025])
            {
                if (name == "simulator" && rows * columns > 200) continue;
                OpTesting.MatchesReference(device, d => Norms(OpTesting.Floats([rows, columns], d, columns)), 1e-6);
                OpTesting.MatchesReference(device, d =>
                {
                    Tensor a = OpTesting.Floats([rows, columns], d, columns), dA = OpTesting.Output(a.Shape, d);
                    RowNormKernel.Backward(a, Norms(a), OpTesting.Floats([rows], d, 7), dA);
                    return dA;
                });
            }
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void NoValueIsTooLargeAndAZeroRowHasNoGradient(string name)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Get(name);
        Tensor a = Tensor.From([3e30f, -4e30f, 0, 0, 3e-30f, 4e-30f, float.NaN, 1], [4, 2], device), dA = OpTesting.Output(a.Shape, device);
        Tensor norm = Norms(a);
        float[] norms = norm.ToArray<float>();
        Assert.Equal([5e30f, 0, 5e-30f], norms[..3]);
        Assert.True(float.IsNaN(norms[3]));
        RowNormKernel.Backward(a, norm, Tensor.From([1f, 1, 1, 1], [4], device), dA);
        float[] gradient = dA.ToArray<float>();
        OpTesting.Close([0.6, -0.8, 0, 0, 0.6, 0.8], [.. gradient[..6]], 1e-6);
        Assert.True(float.IsNaN(gradient[6]));
        RowNormKernel.Backward(a, norm, Tensor.From([1f, float.PositiveInfinity, 1, 1], [4], device), dA);
        Assert.Equal([0f, 0f], dA.ToArray<float>()[2..4]);
    }

    [Fact]
    public void TheBitsDoNotDependOnThreads() => OpTesting.IndependentOfThreads(d => Norms(OpTesting.Floats([200, 333], d, 5)));

    [Theory, MemberData(nameof(TestDevices.CpuNames), MemberType = typeof(TestDevices))]
    public void LongRowsKeepTheirDigits(string name) =>
        OpTesting.MatchesReference(TestDevices.Get(name), d => Norms(OpTesting.Floats([1, 1 << 22], d, 3)), 2e-7);

    [Fact]
    public void GradientsMatchNumericalDifferentiation()
    {
        using Parameter a = OpTesting.Parameter("a", [3, 5], Devices.Reference, 1);
        GradientCheck.Numerical(() => a.Value.RowNorm(), [a]);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void GradientsMatchAlongADirection(string name)
    {
        using Parameter a = OpTesting.Parameter("a", [3, 5], TestDevices.Get(name), 1);
        GradientCheck.Directional(() => a.Value.RowNorm(), [a]);
    }

    [Fact]
    public void ShapesThatDoNotFitAreRefused()
    {
        using var scope = new TensorScope();
        Device device = Devices.Reference;
        Assert.Throws<ShapeException>(() => OpTesting.Floats([3], device, 1).RowNorm());
        Assert.Throws<ShapeException>(() => RowNormKernel.Forward(OpTesting.Floats([3, 2], device, 1), OpTesting.Output([2], device)));
    }

    private static Tensor Norms(Tensor a)
    {
        Tensor norm = OpTesting.Output([a.Shape[0]], a.Device);
        RowNormKernel.Forward(a, norm);
        return norm;
    }
}
