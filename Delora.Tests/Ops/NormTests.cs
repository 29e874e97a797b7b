using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

/// <summary>What the norms of a matrix along one axis are tested for, beside the values that only one of them has.</summary>
public abstract class NormTests
{
    /// <summary>The axis that remains: 0 for a norm for each row, 1 for each column.</summary>
    protected abstract int Axis { get; }

    /// <summary>Shape on which several threads share the work.</summary>
    protected abstract int[] Large { get; }

    /// <summary>Shape of few and very long vectors.</summary>
    protected abstract int[] Long { get; }

    protected abstract void Forward(Tensor a, Tensor norm);

    protected abstract void Backward(Tensor a, Tensor norm, Tensor dNorm, Tensor dA);

    protected abstract Tensor Function(Tensor a);

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
                    Backward(a, Norms(a), OpTesting.Floats([a.Shape[Axis]], d, 7), dA);
                    return dA;
                });
            }
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void NoValueIsTooLargeAndAZeroVectorHasNoGradient(string name)
    {
        using var scope = new TensorScope();
        Device device = TestDevices.Get(name);
        Tensor a = Tensor.From(Laid([3e30f, -4e30f], [0, 0], [3e-30f, 4e-30f], [float.NaN, 1]), Axis == 0 ? [4, 2] : [2, 4], device);
        Tensor dA = OpTesting.Output(a.Shape, device), norm = Norms(a);
        float[] norms = norm.ToArray<float>();
        Assert.Equal([5e30f, 0, 5e-30f], norms[..3]);
        Assert.True(float.IsNaN(norms[3]));
        Backward(a, norm, Tensor.From([1f, 1, 1, 1], [4], device), dA);
        float[][] gradient = Vectors(dA);
        OpTesting.Close([0.6, -0.8, 0, 0, 0.6, 0.8], [.. gradient[..3].SelectMany(vector => vector)], 1e-6);
        Assert.True(float.IsNaN(gradient[3][0]));
        Backward(a, norm, Tensor.From([1f, float.PositiveInfinity, 1, 1], [4], device), dA);
        Assert.Equal([0f, 0f], Vectors(dA)[1]);
    }

    [Fact]
    public void TheBitsDoNotDependOnThreads() => OpTesting.IndependentOfThreads(d => Norms(OpTesting.Floats([.. Large], d, 5)));

    [Theory, MemberData(nameof(TestDevices.CpuNames), MemberType = typeof(TestDevices))]
    public void LongVectorsKeepTheirDigits(string name) =>
        OpTesting.MatchesReference(TestDevices.Get(name), d => Norms(OpTesting.Floats([.. Long], d, 3)), 2e-7);

    [Fact]
    public void GradientsMatchNumericalDifferentiation()
    {
        using Parameter a = OpTesting.Parameter("a", [3, 5], Devices.Reference, 1);
        GradientCheck.Numerical(() => Function(a), [a]);
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void GradientsMatchAlongADirection(string name)
    {
        using Parameter a = OpTesting.Parameter("a", [3, 5], TestDevices.Get(name), 1);
        GradientCheck.Directional(() => Function(a), [a]);
    }

    [Fact]
    public void ShapesThatDoNotFitAreRefused()
    {
        using var scope = new TensorScope();
        Device device = Devices.Reference;
        Assert.Throws<ShapeException>(() => Function(OpTesting.Floats([3], device, 1)));
        // As many norms as the other axis has elements.
        Assert.Throws<ShapeException>(() => Forward(OpTesting.Floats([3, 2], device, 1), OpTesting.Output([Axis == 0 ? 2 : 3], device)));
    }

    /// <summary>The elements of a matrix that has these vectors as its rows or as its columns.</summary>
    private float[] Laid(params float[][] vectors) =>
        Axis == 0 ? [.. vectors.SelectMany(vector => vector)] : [.. vectors.Select(vector => vector[0]), .. vectors.Select(vector => vector[1])];

    /// <summary>The vectors of two elements of a matrix that <see cref="Laid"/> made.</summary>
    private float[][] Vectors(Tensor matrix)
    {
        float[] v = matrix.ToArray<float>();
        return [.. Enumerable.Range(0, v.Length / 2).Select(i => Axis == 0 ? new[] { v[2 * i], v[2 * i + 1] } : [v[i], v[v.Length / 2 + i]])];
    }

    private Tensor Norms(Tensor a)
    {
        Tensor norm = OpTesting.Output([a.Shape[Axis]], a.Device);
        Forward(a, norm);
        return norm;
    }
}
