using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="AddBiasKernel"/>.</summary>
internal static unsafe class CpuAddBias
{
    private const int RowsPerBlock = 512, RowsPerGroup = 16, ColumnsPerStrip = 256;

    internal static void Forward(CpuDevice cpu, Tensor x, Tensor bias, Tensor y)
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Forward<V16>(cpu, x, bias, y); break;
            case SimdLevel.Vector256: Forward<V8>(cpu, x, bias, y); break;
            default: Forward<V4>(cpu, x, bias, y); break;
        }
    }

    /// <summary>Sums in float64 over blocks of rows, then of the blocks in order: the same bits with any number of threads.</summary>
    internal static void Backward(CpuDevice cpu, Tensor dy, Tensor dBias, bool accumulate)
    {
        int columns = dy.Shape.Columns;
        long blocks = Math.Max(1, (dy.Shape.Rows + RowsPerBlock - 1) / RowsPerBlock), strips = (columns + ColumnsPerStrip - 1) / ColumnsPerStrip;
        using var scratch = new HostScratch(cpu, checked(blocks * columns * sizeof(double)), "AddBias.sums");
        double* sums = scratch.Doubles;
        var body = new SumsBody { Dy = dy.Pointer<float>(), Sums = sums, Rows = dy.Shape.Rows, Columns = columns, Strips = strips };
        cpu.Team.For(blocks * strips, 1, ref body);
        float* to = dBias.Pointer<float>();
        for (int j = 0; j < columns; j++)
        {
            double sum = sums[j];
            for (long block = 1; block < blocks; block++) sum += sums[block * columns + j];
            to[j] = (float)(accumulate ? to[j] + sum : sum);
        }
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

    private struct SumsBody : IRangeBody
    {
        public float* Dy;
        public double* Sums;
        public long Rows, Columns, Strips;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long item = start; item < end; item++)
            {
                (long block, long strip) = Math.DivRem(item, Strips);
                long column = strip * ColumnsPerStrip, width = Math.Min(ColumnsPerStrip, Columns - column);
                double* sums = Sums + block * Columns + column;
                new Span<double>(sums, (int)width).Clear();
                long last = Math.Min(Rows, (block + 1) * RowsPerBlock);
                for (long row = block * RowsPerBlock; row < last; row += RowsPerGroup)
                    Group(Dy + row * Columns + column, Columns, Math.Min(RowsPerGroup, last - row), width, sums);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Group(float* x, long stride, long rows, long width, double* sums)
        {
            long j = 0;
            for (; j + 16 <= width; j += 16, x += 16)
            {
                Vector256<double> s0 = Vector256.Load(sums + j), s1 = Vector256.Load(sums + j + 4);
                Vector256<double> s2 = Vector256.Load(sums + j + 8), s3 = Vector256.Load(sums + j + 12);
                float* row = x;
                for (long i = 0; i < rows; i++, row += stride)
                {
                    (Vector256<double> x0, Vector256<double> x1) = Vector256.Widen(Vector256.Load(row));
                    (Vector256<double> x2, Vector256<double> x3) = Vector256.Widen(Vector256.Load(row + 8));
                    s0 += x0;
                    s1 += x1;
                    s2 += x2;
                    s3 += x3;
                }
                s0.Store(sums + j);
                s1.Store(sums + j + 4);
                s2.Store(sums + j + 8);
                s3.Store(sums + j + 12);
            }
            for (; j < width; j++, x++)
            {
                double sum = sums[j];
                for (long i = 0; i < rows; i++) sum += x[i * stride];
                sums[j] = sum;
            }
        }
    }
}
