using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The SIMD implementation of <see cref="AttentionKernel"/>. Members of the team take blocks of queries of one head, each with all its
/// keys, block by block; a few queries, as in decoding, are taken one by one.
/// </summary>
internal static unsafe partial class CpuAttention
{
    /// <summary>Fewer queries than these would leave most columns of a tile empty.</summary>
    private const int FewQueries = 4;

    internal static void Forward(
        CpuDevice cpu, Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor y, Tensor logSumExp, in AttentionSizes sizes,
        float scale)
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Forward<V16>(cpu, query, key, value, mask, y, logSumExp, sizes, scale); break;
            case SimdLevel.Vector256: Forward<V8>(cpu, query, key, value, mask, y, logSumExp, sizes, scale); break;
            default: Forward<V4>(cpu, query, key, value, mask, y, logSumExp, sizes, scale); break;
        }
    }

    private static void Forward<TVector>(
        CpuDevice cpu, Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor y, Tensor logSumExp, in AttentionSizes sizes,
        float scale)
        where TVector : unmanaged, ISimd<TVector>
    {
        var operands = new CpuAttentionOperands(query, key, value, mask, y, logSumExp, sizes, scale);
        bool few = sizes.Seq < FewQueries;
        int strip = CpuAttentionBlock.Strip<TVector>(), blocks = operands.QueryBlocks(strip);
        using HostScratch scratch = operands.Rent(
            cpu, few ? sizes.Keys : (2L * sizes.Dim + CpuAttentionBlock.RoundUp<TVector>(sizes.Dim) + CpuAttentionBlock.Keys + 3) * strip);
        long rows = (long)sizes.Batch * sizes.Heads;
        if (few)
        {
            var body = new DecodingBody<TVector> { Of = operands };
            cpu.Team.ForWorkers(rows * sizes.Seq, CpuReduce.RowGrain((long)sizes.Keys * sizes.Dim), ref body);
        }
        else
        {
            var body = new ForwardBody<TVector> { Of = operands, Blocks = blocks };
            cpu.Team.ForWorkers(rows * blocks, 1, ref body);
        }
    }

    private struct ForwardBody<TVector> : IWorkerRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public CpuAttentionOperands Of;
        public int Blocks;

        private static int Strip => CpuAttentionBlock.Strip<TVector>();

        public readonly void Run(long start, long end, long chunk, int worker)
        {
            for (long item = start; item < end; item++)
            {
                (long row, long block) = Math.DivRem(item, Blocks);
                (long batch, long head) = Math.DivRem(row, Of.Sizes.Heads);
                Block((int)batch, (int)head, (int)block * Strip, Of.ScratchOf(worker));
            }
        }

        private readonly void Block(int batch, int head, int query, float* scratch)
        {
            ref readonly AttentionSizes sizes = ref Of.Sizes;
            int dim = sizes.Dim, queries = Math.Min(Strip, sizes.Seq - query), width = CpuAttentionBlock.Width<TVector>(queries);
            float* q = scratch, sums = q + dim * Strip, scores = sums + dim * Strip;
            float* maximum = scores + CpuAttentionBlock.Keys * Strip, sum = maximum + Strip, factor = sum + Strip, rows = factor + Strip;
            new Span<float>(maximum, width).Fill(float.NegativeInfinity);
            new Span<float>(sum, width).Clear();
            CpuAttentionBlock.Transpose<TVector>(
                Of.Query + sizes.QueryRow(batch, query, head), Of.QueryStride, queries, dim, Of.Scale, q, width);

            int* mask = Of.MaskRow(batch);
            (int first, int end) = Of.KeysOf(batch, query, queries);
            for (int j = first; j < end; j += CpuAttentionBlock.Keys)
            {
                int keys = Math.Min(CpuAttentionBlock.Keys, end - j);
                long at = sizes.KeyRow(batch, j, head / sizes.HeadsPerKey);
                CpuBlockProduct.Multiply<TVector>(keys, width, dim, Of.Key + at, Of.KeyStride, 1, q, width, scores, width, add: false);
                CpuAttentionBlock.Hide(sizes, mask, j, keys, query, scores, width, width);
                CpuAttentionBlock.Softmax<TVector>(scores, keys, width, maximum, sum, factor);
                if (j > first) CpuAttentionBlock.ScaleColumns<TVector>(sums, dim, width, factor);
                CpuBlockProduct.Multiply<TVector>(
                    dim, width, keys, Of.Value + at, 1, Of.KeyStride, scores, width, sums, width, add: j > first);
            }
            Finish(batch, head, query, queries, width, sums, maximum, sum, rows);
        }

        /// <summary>y and z of the block from sums [dim, width].</summary>
        private readonly void Finish(
            int batch, int head, int query, int queries, int width, float* sums, float* maximum, float* sum, float* rows)
        {
            ref readonly AttentionSizes sizes = ref Of.Sizes;
            float* y = Of.Y + sizes.QueryRow(batch, query, head), z = Of.LogSumExp + sizes.StatisticsRow(batch, head) + query;
            int length = CpuAttentionBlock.RoundUp<TVector>(sizes.Dim);
            CpuAttentionBlock.Transpose<TVector>(sums, width, sizes.Dim, queries, 1, rows, length);
            for (int t = 0; t < queries; t++, y += Of.QueryStride, rows += length)
            {
                if (sum[t] == 0)
                {
                    new Span<float>(y, sizes.Dim).Clear();
                    z[t] = float.NegativeInfinity;
                    continue;
                }
                CpuRow.Map<CpuScaled, TVector>(new(1 / sum[t]), rows, y, sizes.Dim);
                z[t] = maximum[t] + MathF.Log(sum[t]);
            }
        }
    }

    /// <summary>One query at a time, vectors along dim.</summary>
    private struct DecodingBody<TVector> : IWorkerRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public CpuAttentionOperands Of;

        public readonly void Run(long start, long end, long chunk, int worker)
        {
            for (long item = start; item < end; item++)
            {
                (long row, long query) = Math.DivRem(item, Of.Sizes.Seq);
                (long batch, long head) = Math.DivRem(row, Of.Sizes.Heads);
                Row((int)batch, (int)head, (int)query, Of.ScratchOf(worker));
            }
        }

        private readonly void Row(int batch, int head, int query, float* scores)
        {
            int dim = Of.Sizes.Dim;
            int* mask = Of.MaskRow(batch);
            (int first, int end) = Of.KeysOf(batch, query, 1);
            float* q = Of.Query + Of.Sizes.QueryRow(batch, query, head), y = Of.Y + Of.Sizes.QueryRow(batch, query, head);
            long at = Of.Sizes.KeyRow(batch, first, head / Of.Sizes.HeadsPerKey);
            float* k = Of.Key + at;
            int keys = Math.Max(0, end - first);
            for (int j = 0; j < keys; j++, k += Of.KeyStride)
                scores[j] = mask != null && mask[first + j] == 0
                    ? float.NegativeInfinity : Of.Scale * CpuAttentionBlock.Dot<TVector>(q, k, dim);
            float max = (float)CpuReduce.Sequence<CpuIdentity, CpuMaximum, TVector>(new(), scores, keys);
            float* z = Of.LogSumExp + Of.Sizes.StatisticsRow(batch, head) + query;
            if (float.IsNegativeInfinity(max))
            {
                new Span<float>(y, dim).Clear();
                *z = max;
                return;
            }
            double sum = CpuRow.MapSum<CpuShiftedExp, TVector>(new(max, 1), scores, scores, keys);
            *z = (float)(max + Math.Log(sum));
            float* v = Of.Value + at;
            // In blocks, so that the second vectors of the rows are still near when the first have been summed.
            for (int j = 0; j < keys; j += CpuAttentionBlock.Keys, v += CpuAttentionBlock.Keys * Of.KeyStride)
                CpuBlockProduct.Multiply<TVector>(
                    1, dim, Math.Min(CpuAttentionBlock.Keys, keys - j), scores + j, 0, 1, v, Of.KeyStride, y, 0, add: j > 0);
            CpuRow.Map<CpuScaled, TVector>(new((float)(1 / sum)), y, y, dim);
        }
    }
}
