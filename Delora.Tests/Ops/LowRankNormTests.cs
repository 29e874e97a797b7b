using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class LowRankNormTests
{
    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void MatchesTheDenseProduct(string name)
    {
        // The reference multiplies the matrices out.
        Device device = TestDevices.Get(name);
        foreach ((int rank, int columns, int rows) in ((int, int, int)[])
            [(1, 1, 1), (1, 31, 33), (3, 32, 31), (2, 0, 5), (2, 5, 0), (0, 3, 3), (8, 33, 129), (16, 127, 257), (33, 129, 127), (5,
                1025, 64)])
        {
            if (name == "simulator" && rank * (columns + rows) > 200) continue;
            OpTesting.MatchesReference(device, d => Norm(OpTesting.Floats([rank, columns], d, 1), OpTesting.Floats([rows, rank], d, 2)),
                2e-7);
        }
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void BranchesThatNearlyCancelKeepTheirDifference(string name)
    {
        Device device = TestDevices.Get(name);
        (int columns, int rows) = name == "simulator" ? (9, 7) : (300, 200);
        foreach (double difference in (double[])[1e-1, 1e-3, 1e-5, 0])
        {
            using var scope = new TensorScope();
            (Tensor a, Tensor b, double branch) = Residual(device, columns, rows, difference);
            (Tensor referenceA, Tensor referenceB, _) = Residual(Devices.Reference, columns, rows, difference);
            double dense = Norm(referenceA, referenceB).ToScalar(), gram = Norm(a, b).ToScalar();
            // ‖ΔW‖² is known to some 1e-15 of the square of a branch; devices without float64 to 1e-12.
            double known = device is GpuDevice gpu && !gpu.HasFloat64 ? 1e-12 : 1e-15;
            Assert.Equal(dense, gram, 2e-7 * dense + (dense == 0 ? Math.Sqrt(known) * branch : known * branch * branch / dense));
        }
    }

    [Fact]
    public void ThePairsOfFloat32AreNearlyAsGood()
    {
        using var scope = new TensorScope();
        var simulator = (GpuDevice)TestDevices.Get("simulator");
        foreach (double difference in (double[])[1, 1e-1, 1e-3, 0])
        {
            (Tensor a, Tensor b, double branch) = Residual(simulator, 40, 30, difference);
            (Tensor referenceA, Tensor referenceB, _) = Residual(Devices.Reference, 40, 30, difference);
            double dense = Norm(referenceA, referenceB).ToScalar();
            Tensor norm = OpTesting.Output([1], simulator);
            GpuLowRankNorm.Forward<Float32PairSum>(simulator, a, b, norm);
            Assert.Equal(dense, norm.ToScalar(), 4e-7 * dense + (dense == 0 ? 1e-6 * branch : 1e-12 * branch * branch / dense));
        }
    }

    [Fact]
    public void TheBitsDoNotDependOnThreads() =>
        OpTesting.IndependentOfThreads(d => Norm(OpTesting.Floats([40, 700], d, 1), OpTesting.Floats([500, 40], d, 2)));

    [Fact]
    public void RanksThatDifferAreRefused()
    {
        using var scope = new TensorScope();
        ShapeException error = Assert.Throws<ShapeException>(
            () => Norm(OpTesting.Floats([2, 3], Devices.Reference, 1), OpTesting.Floats([4, 3], Devices.Reference, 2)));
        Assert.Contains("A' [2, 3], B' [4, 3] (2 ≠ 3)", error.Message, StringComparison.Ordinal);
    }

    /// <summary>[A + δ; A] and [B | −B], rounded to float32, and the norm of one branch.</summary>
    private static (Tensor A, Tensor B, double Branch) Residual(Device device, int columns, int rows, double difference)
    {
        const int rank = 4;
        double[] a = OpTesting.Numbers(rank * columns, 1), b = OpTesting.Numbers(rank * rows, 2),
            change = OpTesting.Numbers(rank * columns, 3);
        var both = new double[rows * 2 * rank];
        for (int i = 0; i < rows; i++)
            for (int k = 0; k < rank; k++) both[i * 2 * rank + k] = -(both[i * 2 * rank + rank + k] = -b[i * rank + k]);
        double[] moved = [.. a.Zip(change, (x, d) => (double)(float)(x + difference * d)), .. a];
        Tensor branch = Norm(Tensor.From(a, [rank, columns], Devices.Reference), Tensor.From(b, [rows, rank], Devices.Reference));
        return (Tensor.From(moved, [2 * rank, columns], device), Tensor.From(both, [rows, 2 * rank], device), branch.ToScalar());
    }

    private static Tensor Norm(Tensor a, Tensor b)
    {
        Tensor norm = OpTesting.Output([1], a.Device);
        LowRankNormKernel.Forward(a, b, norm);
        return norm;
    }
}
