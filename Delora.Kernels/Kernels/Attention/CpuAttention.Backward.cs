using System.Diagnostics.CodeAnalysis;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The way back works on tiles of a block of keys and a block of queries. With enough batch rows and heads, a member takes a whole head
/// of keys and computes all three gradients from each tile; otherwise blocks of keys (for dk and dv) and then blocks of queries (for dq)
/// are shared out, and the tiles are computed twice.
/// </summary>
internal static unsafe partial class CpuAttention
{
    /// <summary>Products of a tile: scores and dp, then one for each gradient.</summary>
    private const int TileProducts = 2, AllProducts = 5;

    internal static void Backward(
        CpuDevice cpu, Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor y, Tensor logSumExp, Tensor dy,
        Tensor? dquery, Tensor? dkey, Tensor? dvalue, in AttentionSizes sizes, float scale)
    {
        var operands = new BackwardOperands
        {
            Of = new(query, key, value, mask, y, logSumExp, sizes, scale),
            Dy = dy.Pointer<float>(),
            Dquery = dquery is null ? null : dquery.Pointer<float>(),
            Dkey = dkey is null ? null : dkey.Pointer<float>(),
            Dvalue = dvalue is null ? null : dvalue.Pointer<float>(),
        };
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Backward<V16>(cpu, operands); break;
            case SimdLevel.Vector256: Backward<V8>(cpu, operands); break;
            default: Backward<V4>(cpu, operands); break;
        }
    }

    private static void Backward<TVector>(CpuDevice cpu, BackwardOperands operands) where TVector : unmanaged, ISimd<TVector>
    {
        ref readonly AttentionSizes sizes = ref operands.Of.Sizes;
        long keyHeads = (long)sizes.Batch * sizes.KvHeads;
        operands.Packed = operands.Of.QueryBlocks * (nint)CpuAttentionBlock.Queries;
        using HostScratch scratch = operands.Of.Rent(
            cpu, checked(2 * (sizes.Dim + 1L) * operands.Packed + 2 * CpuAttentionBlock.Keys * CpuAttentionBlock.Queries));

        bool ofQueries = operands.Dquery != null, ofKeys = operands.Dkey != null || operands.Dvalue != null;
        // The sums are the same, in the same order, either way: which one is faster may depend on the number of threads.
        int threads = cpu.Team.Size;
        long rounds = (keyHeads + threads - 1) / threads;
        if (ofQueries && ofKeys && AllProducts * rounds * threads <= (AllProducts + TileProducts) * keyHeads)
        {
            var body = new BackwardBody<TVector> { Operands = operands, Item = BackwardItem.KeyHead };
            cpu.Team.ForWorkers(keyHeads, 1, ref body);
            return;
        }
        if (ofKeys)
        {
            var body = new BackwardBody<TVector> { Operands = operands, Item = BackwardItem.KeyBlock };
            cpu.Team.ForWorkers(keyHeads * operands.Of.KeyBlocks, 1, ref body);
        }
        if (ofQueries)
        {
            var body = new BackwardBody<TVector> { Operands = operands, Item = BackwardItem.QueryBlock };
            cpu.Team.ForWorkers((long)sizes.Batch * sizes.Heads * operands.Of.QueryBlocks, 1, ref body);
        }
    }

    /// <summary>What a member takes at a time.</summary>
    private enum BackwardItem
    {
        /// <summary>A head of keys with the heads of queries that share it: all gradients.</summary>
        KeyHead,

        /// <summary>A block of keys: dk and dv.</summary>
        KeyBlock,

        /// <summary>A block of queries of one head: dq.</summary>
        QueryBlock,
    }

    private struct BackwardOperands
    {
        public CpuAttentionOperands Of;
        public float* Dy, Dquery, Dkey, Dvalue;

        /// <summary>The number of queries in whole blocks.</summary>
        public nint Packed;
    }

    private struct BackwardBody<TVector> : IWorkerRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public BackwardOperands Operands;
        public BackwardItem Item;

        [UnscopedRef]
        private readonly ref readonly CpuAttentionOperands Of => ref Operands.Of;

        public readonly void Run(long start, long end, long chunk, int worker)
        {
            ref readonly AttentionSizes sizes = ref Of.Sizes;
            int keyBlocks = Of.KeyBlocks, queryBlocks = Of.QueryBlocks;
            float* scratch = Of.ScratchOf(worker);
            for (long item = start; item < end; item++)
            {
                int blocks = Item switch { BackwardItem.KeyHead => 1, BackwardItem.KeyBlock => keyBlocks, _ => queryBlocks };
                (long row, long part) = Math.DivRem(item, blocks);
                int block = (int)part;
                (int heads, int perItem) = Item == BackwardItem.QueryBlock ? (sizes.Heads, 1) : (sizes.KvHeads, sizes.HeadsPerKey);
                (int batch, int head) = ((int)(row / heads), (int)(row % heads) * perItem);
                switch (Item)
                {
                    case BackwardItem.KeyHead: Region(batch, head, perItem, 0, keyBlocks, 0, queryBlocks, scratch); break;
                    case BackwardItem.KeyBlock: Region(batch, head, perItem, block, block + 1, 0, queryBlocks, scratch); break;
                    default: Region(batch, head, perItem, 0, keyBlocks, block, block + 1, scratch); break;
                }
            }
        }

        /// <summary>The gradients of these heads from the tiles of these blocks of keys and queries.</summary>
        private readonly void Region(
            int batch, int head, int heads, int keyBlock, int endKeyBlock, int queryBlock, int endQueryBlock, float* scratch)
        {
            ref readonly AttentionSizes sizes = ref Of.Sizes;
            (int first, int end) = CpuAttentionBlock.Range(Of.MaskRow(batch), sizes.Keys);
            first = Math.Max(first, keyBlock * CpuAttentionBlock.Keys);
            int keyHead = head / sizes.HeadsPerKey, endKey = Math.Min(sizes.Capacity, endKeyBlock * CpuAttentionBlock.Keys);
            int firstQuery = queryBlock * CpuAttentionBlock.Queries;
            int endQuery = Math.Min(sizes.Seq, endQueryBlock * CpuAttentionBlock.Queries);
            if (Item != BackwardItem.QueryBlock)
            {
                long at = sizes.KeyRow(batch, keyBlock * CpuAttentionBlock.Keys, keyHead);
                Clear(Operands.Dkey, at, Of.KeyStride, endKey - keyBlock * CpuAttentionBlock.Keys);
                Clear(Operands.Dvalue, at, Of.KeyStride, endKey - keyBlock * CpuAttentionBlock.Keys);
                // Earlier queries see none of these keys.
                queryBlock = Math.Max(queryBlock, sizes.FirstQuery(first) / CpuAttentionBlock.Queries);
            }
            end = Math.Min(end, endKey);
            // Later queries are too far from these keys.
            if (first < end) endQueryBlock = Math.Min(endQueryBlock, EndBlock(sizes.EndQuery(end - 1)));
            for (int h = head; h < head + heads; h++)
            {
                if (Item != BackwardItem.KeyBlock)
                    Clear(Operands.Dquery, sizes.QueryRow(batch, firstQuery, h), Of.QueryStride, endQuery - firstQuery);
                if (first >= end) continue;
                for (int b = queryBlock; b < endQueryBlock; b++) Pack(batch, h, b, scratch);
                for (int j = first, next; j < end; j = next)
                {
                    next = Math.Min(end, (j / CpuAttentionBlock.Keys + 1) * CpuAttentionBlock.Keys);
                    int b = Math.Max(queryBlock, sizes.FirstQuery(j) / CpuAttentionBlock.Queries);
                    int endBlock = Math.Min(endQueryBlock, EndBlock(sizes.EndQuery(next - 1)));
                    for (; b < endBlock; b++) Tile(batch, h, j, next, b, scratch);
                }
            }
        }

        private static int EndBlock(int endQuery) => (endQuery + CpuAttentionBlock.Queries - 1) / CpuAttentionBlock.Queries;

        private readonly void Clear(float* gradient, long at, nint stride, int rows)
        {
            if (gradient == null) return;
            float* row = gradient + at;
            for (int i = 0; i < rows; i++, row += stride) new Span<float>(row, Of.Sizes.Dim).Clear();
        }

        /// <summary>A block of queries as the tiles need it: scale·q and scale·dy [dim, width], scale·D and z [width].</summary>
        private readonly void Pack(int batch, int head, int block, float* scratch)
        {
            int query = block * CpuAttentionBlock.Queries, queries = Math.Min(CpuAttentionBlock.Queries, Of.Sizes.Seq - query);
            int dim = Of.Sizes.Dim, width = CpuAttentionBlock.Width<TVector>(queries);
            long at = Of.Sizes.QueryRow(batch, query, head);
            PackedQueries to = At(scratch, query);
            CpuAttentionBlock.Transpose(Of.Query + at, Of.QueryStride, queries, dim, Of.Scale, to.Query, width);
            CpuAttentionBlock.Transpose(Operands.Dy + at, Of.QueryStride, queries, dim, Of.Scale, to.Dy, width);
            float* z = Of.LogSumExp + Of.Sizes.StatisticsRow(batch, head) + query;
            for (int t = 0; t < width; t++)
            {
                bool empty = t >= queries || float.IsNegativeInfinity(z[t]);
                // e^(s − ∞) = 0: who attends to nothing has no gradient.
                to.Z[t] = empty ? float.PositiveInfinity : z[t];
                to.D[t] = empty ? 0
                    : Of.Scale * CpuAttentionBlock.Dot<TVector>(Operands.Dy + at + t * Of.QueryStride, Of.Y + at + t * Of.QueryStride, dim);
            }
        }

        private readonly void Tile(int batch, int head, int key, int endKey, int block, float* scratch)
        {
            ref readonly AttentionSizes sizes = ref Of.Sizes;
            int query = block * CpuAttentionBlock.Queries, queries = Math.Min(CpuAttentionBlock.Queries, sizes.Seq - query);
            int dim = sizes.Dim, width = CpuAttentionBlock.Width<TVector>(queries);
            int keys = Math.Min(endKey, sizes.Visible(query + queries - 1)) - key;
            long q = sizes.QueryRow(batch, query, head), k = sizes.KeyRow(batch, key, head / sizes.HeadsPerKey);
            float* scores = scratch, dp = scores + CpuAttentionBlock.Keys * CpuAttentionBlock.Queries;
            PackedQueries from = At(scratch, query);
            CpuBlockProduct.Multiply<TVector>(keys, width, dim, Of.Key + k, Of.KeyStride, 1, from.Query, width, scores, width, add: false);
            CpuAttentionBlock.Hide(sizes, Of.MaskRow(batch), key, keys, query, scores, width);
            CpuBlockProduct.Multiply<TVector>(keys, width, dim, Of.Value + k, Of.KeyStride, 1, from.Dy, width, dp, width, add: false);
            CpuAttentionBlock.Differentiate<TVector>(scores, dp, keys, width, from.Z, from.D);
            if (Item != BackwardItem.QueryBlock && Operands.Dvalue != null)
                CpuBlockProduct.Multiply<TVector>(
                    keys, dim, queries, scores, width, 1, Operands.Dy + q, Of.QueryStride, Operands.Dvalue + k, Of.KeyStride, add: true);
            if (Item != BackwardItem.QueryBlock && Operands.Dkey != null)
                CpuBlockProduct.Multiply<TVector>(
                    keys, dim, queries, dp, width, 1, Of.Query + q, Of.QueryStride, Operands.Dkey + k, Of.KeyStride, add: true);
            if (Item != BackwardItem.KeyBlock && Operands.Dquery != null)
                CpuBlockProduct.Multiply<TVector>(
                    queries, dim, keys, dp, 1, width, Of.Key + k, Of.KeyStride, Operands.Dquery + q, Of.QueryStride, add: true);
        }

        private readonly PackedQueries At(float* scratch, int query)
        {
            float* packed = scratch + 2 * CpuAttentionBlock.Keys * CpuAttentionBlock.Queries;
            nint dim = Of.Sizes.Dim;
            return new()
            {
                Query = packed + query * dim,
                Dy = packed + (Operands.Packed + query) * dim,
                D = packed + 2 * Operands.Packed * dim + query,
                Z = packed + 2 * Operands.Packed * dim + Operands.Packed + query,
            };
        }
    }

    private struct PackedQueries
    {
        public float* Query, Dy, D, Z;
    }
}
