using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class DeltaWeightTests
{
    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void MatchesTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach ((int rank, int columns, int rows) in ((int, int, int)[])
            [(1, 1, 1), (0, 3, 5), (1, 31, 33), (3, 32, 31), (2, 0, 5), (2, 5, 0), (8, 33, 129), (16, 127, 32), (33, 129, 127), (5, 1025,
                65)])
        {
            if (name == "simulator" && rows * columns > 1100) continue;
            OpTesting.MatchesReference(device, d => Update(d, rank, columns, rows, null));
            OpTesting.MatchesReference(device, d => Update(d, rank, columns, rows, false));
            OpTesting.MatchesReference(device, d => Update(d, rank, columns, rows, true));
        }
    }

    [Fact]
    public void TheBitsDependNeitherOnThreadsNorOnVectors()
    {
        OpTesting.IndependentOfThreads(d => Update(d, 9, 777, 301, false));
        using var scope = new TensorScope();
        float[][] results = [.. Simd.Available.Select(level => Update(TestDevices.Cpu(2, level), 9, 77, 31, true).ToArray<float>())];
        Assert.All(results, result => Assert.Equal(results[0], result));
    }

    [Fact]
    public void ShapesThatDoNotFitAreRefused()
    {
        using var scope = new TensorScope();
        Device d = Devices.Reference;
        Tensor a = OpTesting.Floats([2, 3], d, 1);
        Assert.Throws<ShapeException>(() => DeltaWeightKernel.Forward(a, OpTesting.Floats([4, 3], d, 2), OpTesting.Output([4, 3], d)));
        Assert.Throws<ShapeException>(() => DeltaWeightKernel.Add(a, OpTesting.Floats([4, 2], d, 2), OpTesting.Output([3, 4], d)));
    }

    private static Tensor Update(Device d, int rank, int columns, int rows, bool? negative)
    {
        Tensor a = OpTesting.Floats([rank, columns], d, 1), b = OpTesting.Floats([rows, rank], d, 2);
        Tensor weight = negative is null ? OpTesting.Output([rows, columns], d) : OpTesting.Floats([rows, columns], d, 3);
        if (negative is null) DeltaWeightKernel.Forward(a, b, weight);
        else DeltaWeightKernel.Add(a, b, weight, negative.Value);
        return weight;
    }
}
