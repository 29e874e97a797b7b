using Delora.Core;

namespace Delora.Kernels;

/// <summary>The CPU implementation of <see cref="ConcatKernel"/>: block copies, which the runtime vectorizes.</summary>
internal static unsafe class CpuConcat
{
    private const long Grain = 64 * 1024;

    internal static void Copy(CpuDevice cpu, Tensor part, Tensor whole, ConcatRows rows, bool fromWhole)
    {
        var body = new Body { Part = part.Pointer<float>(), Whole = whole.Pointer<float>(), Rows = rows, FromWhole = fromWhole };
        cpu.Team.For(part.ElementCount, Grain, ref body);
    }

    private struct Body : IRangeBody
    {
        public float* Part, Whole;
        public ConcatRows Rows;
        public bool FromWhole;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long i = start; i < end;)
            {
                (long row, long column) = Math.DivRem(i, Rows.Length);
                long count = Math.Min(end - i, Rows.Length - column);
                float* inWhole = Whole + row * Rows.Stride + Rows.Start + column, inPart = Part + i;
                float* from = FromWhole ? inWhole : inPart, to = FromWhole ? inPart : inWhole;
                Buffer.MemoryCopy(from, to, count * sizeof(float), count * sizeof(float));
                i += count;
            }
        }
    }
}
