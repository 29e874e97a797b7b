using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="LayerNormKernel"/>; the way back is <see cref="CpuNormalization.Backward"/>.</summary>
internal static unsafe class CpuLayerNorm
{
    internal static void Forward(CpuDevice cpu, Tensor x, Tensor weight, Tensor? bias, Tensor y, Tensor statistics, double epsilon)
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Forward<V16>(cpu, x, weight, bias, y, statistics, epsilon); break;
            case SimdLevel.Vector256: Forward<V8>(cpu, x, weight, bias, y, statistics, epsilon); break;
            default: Forward<V4>(cpu, x, weight, bias, y, statistics, epsilon); break;
        }
    }

    private static void Forward<TVector>(
        CpuDevice cpu, Tensor x, Tensor weight, Tensor? bias, Tensor y, Tensor statistics, double epsilon)
        where TVector : unmanaged, ISimd<TVector>
    {
        var body = new Body<TVector>
        {
            X = x.Pointer<float>(),
            Weight = weight.Pointer<float>(),
            Bias = bias is null ? null : bias.Pointer<float>(),
            Y = y.Pointer<float>(),
            Statistics = statistics.Pointer<float>(),
            Rows = statistics.Shape[1],
            Columns = x.Shape.Columns,
            Epsilon = epsilon,
        };
        cpu.Team.For(body.Rows, CpuReduce.RowGrain(body.Columns), ref body);
    }

    /// <summary>
    /// Mean and variance of a row in one pass over its deviations from the first element. In float64 the square of their mean is at most
    /// count times the variance: what cancels is far below float32's digits.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static (double Mean, double Variance) Moments(float* x, long count)
    {
        if (count == 0) return (0, 0);
        double first = x[0];
        Vector256<double> shift = Vector256.Create(first), s0 = default, s1 = default, q0 = default, q1 = default;
        long j = 0;
        for (; j + 8 <= count; j += 8)
        {
            (Vector256<double> lower, Vector256<double> upper) = Vector256.Widen(Vector256.Load(x + j));
            lower -= shift;
            upper -= shift;
            s0 += lower;
            s1 += upper;
            q0 += lower * lower;
            q1 += upper * upper;
        }
        double sum = Vector256.Sum(s0 + s1), squares = Vector256.Sum(q0 + q1);
        for (; j < count; j++)
        {
            double deviation = x[j] - first;
            sum += deviation;
            squares += deviation * deviation;
        }
        double mean = sum / count;
        return (first + mean, Math.Max(0, squares / count - mean * mean));
    }

    private struct Body<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public float* X, Weight, Bias, Y, Statistics;
        public long Rows, Columns;
        public double Epsilon;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long i = start; i < end; i++)
            {
                float* x = X + i * Columns;
                (double mean, double variance) = Moments(x, Columns);
                double inverse = 1 / Math.Sqrt(variance + Epsilon);
                float shift = (float)mean, offset = (float)((shift - mean) * inverse);
                (Statistics[i], Statistics[Rows + i], Statistics[2 * Rows + i]) = (shift, offset, (float)inverse);
                CpuNormalization.Write<TVector>(new(shift, offset, (float)inverse), x, Weight, Bias, Y + i * Columns, Columns);
            }
        }
    }
}
