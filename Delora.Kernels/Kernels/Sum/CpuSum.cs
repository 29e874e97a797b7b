using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="SumKernel"/> and <see cref="MeanKernel"/>.</summary>
internal static unsafe class CpuSum
{
    private const long Grain = 16 * 1024;

    internal static void Forward(CpuDevice cpu, Tensor x, Tensor y, long rows, long columns, double scale)
    {
        if (rows == 1) *y.Pointer<float>() = (float)(scale * CpuReduce.All<CpuIdentity, CpuPlus>(cpu, new(), x));
        else CpuReduce.Rows<CpuIdentity, CpuPlus>(cpu, new(), x.Pointer<float>(), rows, columns, y.Pointer<float>(), scale);
    }

    internal static void Backward(CpuDevice cpu, Tensor dy, Tensor dx, long columns, float scale)
    {
        var body = new BroadcastBody { From = dy.Pointer<float>(), To = dx.Pointer<float>(), Columns = columns, Scale = scale };
        cpu.Team.For(dx.ElementCount, Grain, ref body);
    }

    private struct BroadcastBody : IRangeBody
    {
        public float* From, To;
        public long Columns;
        public float Scale;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long row = start / Columns; start < end; row++)
            {
                long rowEnd = Math.Min(end, (row + 1) * Columns);
                new Span<float>(To + start, (int)(rowEnd - start)).Fill(From[row] * Scale);
                start = rowEnd;
            }
        }
    }
}
