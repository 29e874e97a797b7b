using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="ArgmaxKernel"/>.</summary>
internal static unsafe class CpuArgmax
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

    private static void Forward<TVector>(CpuDevice cpu, Tensor x, Tensor y) where TVector : unmanaged, ISimd<TVector>
    {
        var body = new Body<TVector> { X = x.Pointer<float>(), Y = y.Pointer<int>(), Columns = x.Shape.Columns };
        cpu.Team.For(y.ElementCount, CpuReduce.RowGrain(x.Shape.Columns), ref body);
    }

    private struct Body<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public float* X;
        public int* Y;
        public int Columns;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long row = start; row < end; row++)
            {
                // The block that holds the maximum first, by vectors; then the place in it.
                float* x = X + row * Columns;
                float max = float.NegativeInfinity;
                int block = 0;
                for (int j = 0; j < Columns; j += CpuReduce.BlockLength)
                {
                    int length = Math.Min(CpuReduce.BlockLength, Columns - j);
                    float value = (float)CpuReduce.Sequence<CpuIdentity, CpuMaximum, TVector>(new(), x + j, length);
                    if (!(value > max) && !float.IsNaN(value)) continue;
                    (max, block) = (value, j);
                    if (float.IsNaN(value)) break;
                }
                int index = block;
                // Ends: the block holds the value, or the row is −∞ throughout and its first element is.
                while (x[index] != max && !(float.IsNaN(max) && float.IsNaN(x[index]))) index++;
                Y[row] = index;
            }
        }
    }
}
