using Delora.Core;

namespace Delora.Kernels;

/// <summary>The CPU implementation of <see cref="EmbeddingKernel"/>.</summary>
internal static unsafe class CpuEmbedding
{
    internal static void Forward(CpuDevice cpu, Tensor ids, Tensor weight, Tensor y)
    {
        var body = new ForwardBody
        {
            Ids = ids.Pointer<int>(),
            Weight = weight.Pointer<float>(),
            Y = y.Pointer<float>(),
            Dim = weight.Shape.Columns,
        };
        cpu.Team.For(ids.ElementCount, CpuReduce.RowGrain(weight.Shape.Columns), ref body);
    }

    internal static void Backward(CpuDevice cpu, Tensor ids, Tensor dy, Tensor dweight) =>
        CpuScatter.Add(cpu, ids, null, mean: false, dy, dweight);

    private struct ForwardBody : IRangeBody
    {
        public int* Ids;
        public float* Weight, Y;
        public long Dim;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long i = start; i < end; i++)
                Buffer.MemoryCopy(Weight + Ids[i] * Dim, Y + i * Dim, Dim * sizeof(float), Dim * sizeof(float));
        }
    }
}
