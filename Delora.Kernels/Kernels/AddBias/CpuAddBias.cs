using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="AddBiasKernel"/>.</summary>
internal static unsafe class CpuAddBias
{
    private const int ColumnsPerChunk = 128;

    internal static void Forward(CpuDevice cpu, Tensor x, Tensor bias, Tensor y)
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Forward<V16>(cpu, x, bias, y); break;
            case SimdLevel.Vector256: Forward<V8>(cpu, x, bias, y); break;
            default: Forward<V4>(cpu, x, bias, y); break;
        }
    }

    internal static void Backward(CpuDevice cpu, Tensor dy, Tensor dBias, bool accumulate)
    {
        var body = new BackwardBody
        {
            Dy = dy.Pointer<float>(),
            DBias = dBias.Pointer<float>(),
            Rows = dy.Shape.Rows,
            Columns = dy.Shape.Columns,
            Accumulate = accumulate,
        };
        cpu.Team.For(body.Columns, ColumnsPerChunk, ref body);
    }

    private static void Forward<TVector>(CpuDevice cpu, Tensor x, Tensor bias, Tensor y) where TVector : unmanaged, ISimd<TVector>
    {
        var body = new ForwardBody<TVector>
        {
            X = x.Pointer<float>(),
            Bias = bias.Pointer<float>(),
            Y = y.Pointer<float>(),
            Columns = x.Shape.Columns,
        };
        cpu.Team.For(x.Shape.Rows, CpuReduce.RowGrain(x.Shape.Columns), ref body);
    }

    private struct ForwardBody<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public float* X, Bias, Y;
        public long Columns;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long start, long end, long chunk)
        {
            float* bias = Bias;
            long columns = Columns;
            for (long row = start; row < end; row++)
            {
                float* x = X + row * columns, y = Y + row * columns;
                long j = 0;
                for (; j + TVector.Count <= columns; j += TVector.Count) TVector.Store(TVector.Load(x + j) + TVector.Load(bias + j), y + j);
                for (; j < columns; j++) y[j] = x[j] + bias[j];
            }
        }
    }

    private struct BackwardBody : IRangeBody
    {
        public float* Dy, DBias;
        public long Rows, Columns;
        public bool Accumulate;

        public readonly void Run(long start, long end, long chunk)
        {
            double* sums = stackalloc double[ColumnsPerChunk];
            float* ones = stackalloc float[ColumnsPerChunk];
            new Span<float>(ones, ColumnsPerChunk).Fill(1f);
            // The same row of ones for every row: Σ dy·1.
            CpuDot.Columns(Dy + start, Columns, ones, 0, Rows, end - start, sums);
            for (long j = start; j < end; j++) DBias[j] = (float)(Accumulate ? DBias[j] + sums[j - start] : sums[j - start]);
        }
    }
}
