using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The CPU implementation of <see cref="GatherColumnsKernel"/>. Every element lies in another cache line of the matrix, so that there is nothing for
/// vectors to do: the work is shared by places forward, and backward by rows of the matrix, each of which belongs to one chunk and is added to
/// in the order of the places.
/// </summary>
internal static unsafe class CpuGatherColumns
{
    internal static void Forward(CpuDevice cpu, Tensor a, Tensor ids, Tensor y)
    {
        var body = new ForwardBody
        {
            A = a.Pointer<float>(),
            Ids = ids.Pointer<int>(),
            Y = y.Pointer<float>(),
            Rows = a.Shape[0],
            Columns = a.Shape[1],
        };
        cpu.Team.For(ids.ElementCount, CpuReduce.RowGrain(a.Shape[0]), ref body);
    }

    internal static void Backward(CpuDevice cpu, Tensor ids, Tensor dy, Tensor da)
    {
        var body = new BackwardBody
        {
            Ids = ids.Pointer<int>(),
            Dy = dy.Pointer<float>(),
            Da = da.Pointer<float>(),
            Count = ids.ElementCount,
            Rows = da.Shape[0],
            Columns = da.Shape[1],
        };
        cpu.Team.For(da.Shape[0], 1, ref body);
    }

    private struct ForwardBody : IRangeBody
    {
        public float* A, Y;
        public int* Ids;
        public long Rows, Columns;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long i = start; i < end; i++)
            {
                float* from = A + Ids[i], to = Y + i * Rows;
                for (long k = 0; k < Rows; k++) to[k] = from[k * Columns];
            }
        }
    }

    private struct BackwardBody : IRangeBody
    {
        public int* Ids;
        public float* Dy, Da;
        public long Count, Rows, Columns;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long k = start; k < end; k++)
            {
                float* to = Da + k * Columns;
                for (long i = 0; i < Count; i++) to[Ids[i]] += Dy[i * Rows + k];
            }
        }
    }
}
