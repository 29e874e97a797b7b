using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

public sealed class ArgmaxTests
{
    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void MatchesTheReference(string name)
    {
        Device device = TestDevices.Get(name);
        foreach (int columns in (int[])[1, 2, 15, 16, 17, 31, 33, 129, 5000])
        {
            if (name == "simulator" && columns > 40) continue;
            foreach (int rows in (int[])[0, 1, 7])
                // Few distinct numbers: many rows have their maximum several times.
                foreach (double[] values in (double[][])[OpTesting.Numbers(rows * columns, columns), Coarse(rows * columns)])
                    Assert.Equal(Run(Devices.Reference, values, rows, columns), Run(device, values, rows, columns));
        }
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void TiesInfinitiesAndNaN(string name)
    {
        const double Inf = double.PositiveInfinity;
        foreach (Device device in (Device[])[TestDevices.Get(name), Devices.Reference])
        {
            var rows = new double[6 * 40];
            Array.Fill(rows, -Inf);
            rows[40 + 39] = -3e38;                          // one number among −∞
            (rows[80 + 20], rows[80 + 37]) = (Inf, Inf);    // a tie
            (rows[120 + 5], rows[120 + 9], rows[120 + 33]) = (Inf, double.NaN, double.NaN);
            rows[160] = double.NaN;
            (rows[200 + 18], rows[200 + 2]) = (0.0, -0.0);  // equal zeros
            Assert.Equal([0, 39, 20, 9, 0, 2], Run(device, rows, 6, 40));
        }
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void RowsWithoutElementsAreRefused(string name)
    {
        Device device = TestDevices.Get(name);
        using var scope = new TensorScope("argmax");
        Assert.Throws<ShapeException>(() => OpTesting.Floats([2, 0], device, 1).Argmax());
        Assert.Throws<ShapeException>(() => OpTesting.Floats([], device, 1).Argmax());
        Assert.Equal(new Shape(2, 3), OpTesting.Floats([2, 3, 4], device, 1).Argmax().Shape);
    }

    private static int[] Run(Device device, double[] values, int rows, int columns)
    {
        using Tensor x = Tensor.From(values, [rows, columns], device), y = Tensor.Empty([rows], DType.Int32, device);
        ArgmaxKernel.Forward(x, y);
        return y.ToArray<int>();
    }

    private static double[] Coarse(int count) => [.. OpTesting.Ids(count, 3, 5).Select(value => (double)value)];
}
