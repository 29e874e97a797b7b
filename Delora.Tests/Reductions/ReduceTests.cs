using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Reductions;

/// <summary>The reductions that kernels share, on each device, against plain float64 loops.</summary>
public sealed unsafe class ReduceTests
{
    private static readonly int[] s_lengths = [0, 1, 31, 32, 33, 127, 129, 1025];

    [Fact]
    public void CpuMatchesAtEveryWidthAndDoesNotDependOnThreads()
    {
        foreach (SimdLevel level in Simd.Available)
        {
            using var one = new CpuDevice(1, level);
            using var three = new CpuDevice(3, level);
            foreach (int n in (int[])[.. s_lengths, 70_001])
            {
                float[] a = Values(n, 1), b = Values(n, 2);
                double sum = 0, dot = 0, max = double.NegativeInfinity;
                for (int i = 0; i < n; i++)
                {
                    sum += (double)a[i] * a[i];
                    dot += (double)a[i] * b[i];
                    max = Math.Max(max, a[i]);
                }
                double[] results = new double[6];
                foreach (CpuDevice cpu in (CpuDevice[])[one, three])
                {
                    using Tensor x = Tensor.From(a, [n], cpu), y = Tensor.From(b, [n], cpu);
                    int at = cpu == one ? 0 : 3;
                    results[at] = CpuReduce.All<CpuSquare, CpuPlus>(cpu, new(), x);
                    results[at + 1] = CpuReduce.All<CpuProduct, CpuPlus>(cpu, new(), x, y);
                    results[at + 2] = CpuReduce.All<CpuIdentity, CpuMaximum>(cpu, new(), x);
                }
                Assert.Equal(results[..3], results[3..]);
                Assert.Equal(sum, results[0], 1e-6 * (1 + sum));
                Assert.Equal(dot, results[1], 1e-6 * (1 + sum));
                Assert.Equal(max, results[2]);
            }
        }
    }

    [Fact]
    public void CpuRowsMatch()
    {
        foreach (SimdLevel level in Simd.Available)
        {
            using var cpu = new CpuDevice(2, level);
            foreach (int columns in s_lengths)
            {
                const int Rows = 37;
                float[] a = Values(Rows * columns, 3), b = Values(Rows * columns, 4);
                using Tensor x = Tensor.From(a, [Rows, columns], cpu), y = Tensor.From(b, [Rows, columns], cpu);
                using Tensor sums = Tensor.Zeros([Rows], DType.Float32, cpu), dots = Tensor.Zeros([Rows], DType.Float32, cpu);
                CpuReduce.Rows<CpuIdentity, CpuPlus>(cpu, new(), x.Pointer<float>(), Rows, columns, sums.Pointer<float>(), 0.5);
                CpuReduce.Rows<CpuProduct, CpuPlus>(
                    cpu, new(), x.Pointer<float>(), y.Pointer<float>(), Rows, columns, dots.Pointer<float>(), 1);
                AssertRows(a, b, columns, sums.ToArray<float>(), dots.ToArray<float>());
            }
        }
    }

    [Fact]
    public void GpuMatches()
    {
        var gpu = (GpuDevice)TestDevices.Get("simulator");
        foreach (int n in (int[])[0, 1, 31, 33, 129])
        {
            float[] a = Values(n, 5), b = Values(n, 6);
            double sum = 0, dot = 0;
            for (int i = 0; i < n; i++)
            {
                sum += (double)a[i] * a[i];
                dot += (double)a[i] * b[i];
            }
            using Tensor x = Tensor.From(a, [n], gpu), y = Tensor.From(b, [n], gpu);
            using Tensor result = Tensor.Empty([3], DType.Float32, gpu);
            GpuReduce.All<GpuSquare, GpuPlus>(gpu, gpu.View<float>(x), gpu.View<float>(result), 2);
            GpuReduce.All<GpuProduct, GpuPlus>(gpu, gpu.View<float>(x), gpu.View<float>(y), gpu.View<float>(result).SubView(1, 1));
            GpuReduce.All<GpuIdentity, GpuMaximum>(gpu, gpu.View<float>(x), gpu.View<float>(result).SubView(2, 1));
            float[] got = result.ToArray<float>();
            Assert.Equal(2 * sum, got[0], 1e-5 * (1 + sum));
            Assert.Equal(dot, got[1], 1e-5 * (1 + sum));
            Assert.Equal(n == 0 ? float.NegativeInfinity : a.Max(), got[2]);
        }
        foreach (int columns in (int[])[0, 1, 15, 17, 65])
        {
            const int Rows = 3;
            float[] a = Values(Rows * columns, 7), b = Values(Rows * columns, 8);
            using Tensor x = Tensor.From(a, [Rows, columns], gpu), y = Tensor.From(b, [Rows, columns], gpu);
            using Tensor sums = Tensor.Empty([Rows], DType.Float32, gpu), dots = Tensor.Empty([Rows], DType.Float32, gpu);
            GpuReduce.Rows<GpuIdentity, GpuPlus>(gpu, gpu.View<float>(x), Rows, columns, gpu.View<float>(sums), 0.5f);
            GpuReduce.Rows<GpuProduct, GpuPlus>(gpu, gpu.View<float>(x), gpu.View<float>(y), Rows, columns, gpu.View<float>(dots));
            AssertRows(a, b, columns, sums.ToArray<float>(), dots.ToArray<float>());
        }
    }

    [Theory, MemberData(nameof(TestDevices.Names), MemberType = typeof(TestDevices))]
    public void MaximumKeepsNaN(string name)
    {
        Device device = TestDevices.Get(name);
        foreach (int at in (int[])[0, 16, 40])
        {
            float[] values = Values(41, 9);
            values[at] = float.NaN;
            using Tensor x = Tensor.From(values, [41], device);
            using Tensor y = Tensor.Empty([1], DType.Float32, device);
            if (device is GpuDevice gpu) GpuReduce.All<GpuIdentity, GpuMaximum>(gpu, gpu.View<float>(x), gpu.View<float>(y));
            else y.CopyFrom<double>([CpuReduce.All<CpuIdentity, CpuMaximum>((CpuDevice)device, new(), x)]);
            Assert.True(float.IsNaN(y.ToArray<float>()[0]));
        }
    }

    private static void AssertRows(float[] a, float[] b, int columns, float[] sums, float[] dots)
    {
        for (int row = 0; row < sums.Length; row++)
        {
            double sum = 0, dot = 0;
            for (int j = 0; j < columns; j++)
            {
                sum += a[row * columns + j];
                dot += (double)a[row * columns + j] * b[row * columns + j];
            }
            Assert.Equal(0.5 * sum, sums[row], 1e-6 * (1 + columns));
            Assert.Equal(dot, dots[row], 1e-6 * (1 + columns));
        }
    }

    private static float[] Values(int count, int seed)
    {
        var random = new Random(seed);
        var values = new float[count];
        for (int i = 0; i < count; i++) values[i] = random.NextSingle() * 2 - 1;
        return values;
    }
}
