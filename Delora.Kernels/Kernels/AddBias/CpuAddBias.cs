using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="AddBiasKernel"/>.</summary>
internal static unsafe class CpuAddBias
{
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
        int columns = dy.Shape.Columns;
        using var scratch = new HostScratch(cpu, columns * (long)(sizeof(double) + sizeof(float)), "AddBias.sums");
        double* sums = scratch.Doubles;
        // The same row of ones for every row: Σ dy·1.
        var ones = (float*)(sums + columns);
        new Span<float>(ones, columns).Fill(1f);
        CpuDot.Columns(cpu, dy.Pointer<float>(), columns, ones, 0, dy.Shape.Rows, columns, sums);
        float* to = dBias.Pointer<float>();
        for (int j = 0; j < columns; j++) to[j] = (float)(accumulate ? to[j] + sums[j] : sums[j]);
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
}
