using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="SoftmaxKernel"/>: rows in parallel, each in passes that stay in the cache.</summary>
internal static unsafe class CpuSoftmax
{
    internal static void Forward(CpuDevice cpu, Tensor x, Tensor y)
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Forward<V16>(cpu, x, y); break;
            case SimdLevel.Vector256: Forward<V8>(cpu, x, y); break;
            default: Forward<V4>(cpu, x, y); break;
        }
    }

    internal static void Backward(CpuDevice cpu, Tensor y, Tensor dy, Tensor dx)
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Backward<V16>(cpu, y, dy, dx); break;
            case SimdLevel.Vector256: Backward<V8>(cpu, y, dy, dx); break;
            default: Backward<V4>(cpu, y, dy, dx); break;
        }
    }

    private static void Forward<TVector>(CpuDevice cpu, Tensor x, Tensor y) where TVector : unmanaged, ISimd<TVector>
    {
        var body = new ForwardBody<TVector> { X = x.Pointer<float>(), Y = y.Pointer<float>(), Columns = x.Shape.Columns };
        cpu.Team.For(x.Shape.Rows, CpuReduce.RowGrain(x.Shape.Columns), ref body);
    }

    private static void Backward<TVector>(CpuDevice cpu, Tensor y, Tensor dy, Tensor dx) where TVector : unmanaged, ISimd<TVector>
    {
        var body = new BackwardBody<TVector>
        {
            Y = y.Pointer<float>(),
            Dy = dy.Pointer<float>(),
            Dx = dx.Pointer<float>(),
            Columns = y.Shape.Columns,
        };
        cpu.Team.For(y.Shape.Rows, CpuReduce.RowGrain(y.Shape.Columns), ref body);
    }

    private struct ForwardBody<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public float* X, Y;
        public long Columns;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long row = start; row < end; row++)
            {
                float* x = X + row * Columns, y = Y + row * Columns;
                float max = (float)CpuReduce.Sequence<CpuIdentity, CpuMaximum, TVector>(new(), x, Columns);
                if (float.IsNegativeInfinity(max))
                {
                    new Span<float>(y, (int)Columns).Clear();
                    continue;
                }
                double sum = CpuRow.MapSum<CpuShiftedExp, TVector>(new(max, 1), x, y, Columns);
                CpuRow.Map<CpuScaled, TVector>(new((float)(1 / sum)), y, y, Columns);
            }
        }
    }

    private struct BackwardBody<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public float* Y, Dy, Dx;
        public long Columns;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long row = start; row < end; row++)
            {
                float* y = Y + row * Columns, dy = Dy + row * Columns;
                double dot = CpuReduce.Sequence<CpuProduct, CpuPlus, TVector>(new(), y, dy, Columns);
                CpuRow.Map<BackwardOp, TVector>(new((float)dot), y, dy, Dx + row * Columns, Columns);
            }
        }
    }

    private readonly struct BackwardOp(float dot) : ICpuBinaryOp
    {
        public TVector Apply<TVector>(TVector y, TVector dy) where TVector : unmanaged, ISimd<TVector> => y * (dy - TVector.Set(dot));
    }
}
