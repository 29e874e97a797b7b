using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="RmsNormKernel"/>; the way back is <see cref="CpuNormalization.Backward"/>.</summary>
internal static unsafe class CpuRmsNorm
{
    internal static void Forward(CpuDevice cpu, Tensor x, Tensor weight, Tensor y, Tensor inverseRms, double epsilon)
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Forward<V16>(cpu, x, weight, y, inverseRms, epsilon); break;
            case SimdLevel.Vector256: Forward<V8>(cpu, x, weight, y, inverseRms, epsilon); break;
            default: Forward<V4>(cpu, x, weight, y, inverseRms, epsilon); break;
        }
    }

    private static void Forward<TVector>(CpuDevice cpu, Tensor x, Tensor weight, Tensor y, Tensor inverseRms, double epsilon)
        where TVector : unmanaged, ISimd<TVector>
    {
        var body = new Body<TVector>
        {
            X = x.Pointer<float>(),
            Weight = weight.Pointer<float>(),
            Y = y.Pointer<float>(),
            InverseRms = inverseRms.Pointer<float>(),
            Columns = x.Shape.Columns,
            Epsilon = epsilon,
        };
        cpu.Team.For(x.Shape.Rows, CpuReduce.RowGrain(x.Shape.Columns), ref body);
    }

    private struct Body<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public float* X, Weight, Y, InverseRms;
        public long Columns;
        public double Epsilon;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long i = start; i < end; i++)
            {
                float* x = X + i * Columns;
                float inverse = (float)(1 / Math.Sqrt(CpuDot.Row(x, x, Columns) / Math.Max(1, Columns) + Epsilon));
                InverseRms[i] = inverse;
                CpuNormalization.Write<TVector>(new(0, 0, inverse), x, Weight, null, Y + i * Columns, Columns);
            }
        }
    }
}
