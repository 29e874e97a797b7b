using System.Diagnostics.CodeAnalysis;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The way back works on tiles of a block of queries and a block of keys: queries outside, so that what is packed of them and their dq stay in
/// the cache, keys inside. With enough batch rows and heads, a member takes a whole head of queries and computes all three gradients from each tile;
/// otherwise blocks of keys (for dk and dv) and then blocks of queries (for dq) are shared out, and the tiles are computed twice. Heads that share keys
/// each have sums of their own, which are added in the order of the heads: all ways give the same bits.
/// </summary>
internal static unsafe partial class CpuAttention
{
    /// <summary>Products of a tile: scores and dp, then one for each gradient.</summary>
    private const int TileProducts = 2, AllProducts = 5;

    internal static void Backward(
        CpuDevice cpu, Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor y, Tensor logSumExp, Tensor dy,
        Tensor? dquery, Tensor? dkey, Tensor? dvalue, in AttentionSizes sizes, float scale)
    {
        var operands = new AttentionBackwardOperands
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

    private static void Backward<TVector>(CpuDevice cpu, AttentionBackwardOperands operands) where TVector : unmanaged, ISimd<TVector>
    {
        ref readonly AttentionSizes sizes = ref operands.Of.Sizes;
        using HostScratch scratch = operands.Of.Rent(cpu, CpuAttentionTile<TVector>.Floats(sizes.Dim));
        long heads = (long)sizes.Batch * sizes.Heads, keyHeads = (long)sizes.Batch * sizes.KvHeads;
        bool ofQueries = operands.Dquery != null, ofKeys = operands.Dkey != null || operands.Dvalue != null;
        // Which way is faster may depend on the number of threads: the sums do not.
        int threads = cpu.Team.Size;
        long rounds = (heads + threads - 1) / threads;
        if (ofQueries && ofKeys && AllProducts * rounds * threads <= (AllProducts + TileProducts) * heads)
        {
            long shared = sizes.HeadsPerKey == 1 ? 0 : checked(heads * sizes.Keys * sizes.Dim);
            using var sums = new HostScratch(cpu, checked(2 * shared * sizeof(float)), "gradients of the heads that share keys");
            if (shared > 0)
            {
                operands.HeadDkey = sums.Floats;
                operands.HeadDvalue = sums.Floats + shared;
            }
            Run(BackwardItem.Head, heads);
            if (sizes.HeadsPerKey > 1) Run(BackwardItem.SumOfHeads, keyHeads * operands.Of.KeyBlocks);
            return;
        }
        if (ofKeys) Run(BackwardItem.KeyBlock, keyHeads * operands.Of.KeyBlocks);
        if (ofQueries) Run(BackwardItem.QueryBlock, heads * operands.Of.QueryBlocks(CpuAttentionBlock.Queries));

        void Run(BackwardItem item, long count)
        {
            var body = new BackwardBody<TVector> { Operands = operands, Item = item };
            cpu.Team.ForWorkers(count, 1, ref body);
        }
    }

    /// <summary>What a member takes at a time.</summary>
    private enum BackwardItem
    {
        /// <summary>A head of queries: all gradients.</summary>
        Head,

        /// <summary>A block of keys: dk and dv from the sums of the heads that share it.</summary>
        SumOfHeads,

        /// <summary>A block of keys: dk and dv.</summary>
        KeyBlock,

        /// <summary>A block of queries of one head: dq.</summary>
        QueryBlock,
    }

    private struct BackwardBody<TVector> : IWorkerRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public AttentionBackwardOperands Operands;
        public BackwardItem Item;

        [UnscopedRef]
        private readonly ref readonly AttentionSizes Sizes => ref Operands.Of.Sizes;

        public readonly void Run(long start, long end, long chunk, int worker)
        {
            var tile = new CpuAttentionTile<TVector>(Operands, Operands.Of.ScratchOf(worker));
            int blocks = Item switch
            {
                BackwardItem.Head => 1,
                BackwardItem.QueryBlock => Operands.Of.QueryBlocks(CpuAttentionBlock.Queries),
                _ => Operands.Of.KeyBlocks,
            };
            int heads = Item is BackwardItem.Head or BackwardItem.QueryBlock ? Sizes.Heads : Sizes.KvHeads;
            for (long item = start; item < end; item++)
            {
                (long row, long block) = Math.DivRem(item, blocks);
                (int batch, int head) = ((int)(row / heads), (int)(row % heads));
                switch (Item)
                {
                    case BackwardItem.Head: Head(ref tile, batch, head); break;
                    case BackwardItem.SumOfHeads: SumOfHeads(batch, head, (int)block * CpuAttentionBlock.Keys); break;
                    case BackwardItem.KeyBlock: KeyBlock(ref tile, batch, head, (int)block * CpuAttentionBlock.Keys); break;
                    default: QueryBlock(ref tile, batch, head, (int)block * CpuAttentionBlock.Queries, default); break;
                }
            }
        }

        /// <summary>All gradients of one head; dk and dv go to its own sums where others share them.</summary>
        private readonly void Head(ref CpuAttentionTile<TVector> tile, int batch, int head)
        {
            int dim = Sizes.Dim;
            bool shared = Operands.HeadDkey != null;
            long at = shared ? ((long)batch * Sizes.Heads + head) * Sizes.Keys * dim : Sizes.KeyRow(batch, 0, head / Sizes.HeadsPerKey);
            AttentionKeyGradients to = new()
            {
                Dkey = Operands.Dkey == null ? null : (shared ? Operands.HeadDkey : Operands.Dkey) + at,
                Dvalue = Operands.Dvalue == null ? null : (shared ? Operands.HeadDvalue : Operands.Dvalue) + at,
                Stride = shared ? dim : Operands.Of.KeyStride,
            };
            Clear(to.Dkey, to.Stride, shared ? Sizes.Keys : Sizes.Capacity);
            Clear(to.Dvalue, to.Stride, shared ? Sizes.Keys : Sizes.Capacity);
            for (int query = 0; query < Sizes.Seq; query += CpuAttentionBlock.Queries) QueryBlock(ref tile, batch, head, query, to);
        }

        /// <summary>dq of a block of queries, and what the block adds to dk and dv where these are wanted.</summary>
        private readonly void QueryBlock(ref CpuAttentionTile<TVector> tile, int batch, int head, int query, AttentionKeyGradients to)
        {
            tile.Begin(batch, head, query, wantsQuery: true);
            (int first, int end) = Operands.Of.KeysOf(batch, query, tile.Count);
            for (int j = first, next; j < end; j = next)
            {
                next = Math.Min(end, (j / CpuAttentionBlock.Keys + 1) * CpuAttentionBlock.Keys);
                tile.Add(j, next, to.From(j));
            }
            tile.WriteQueryGradient();
        }

        /// <summary>dk and dv of a block of keys, the sum of each head that shares it in scratch first.</summary>
        private readonly void KeyBlock(ref CpuAttentionTile<TVector> tile, int batch, int keyHead, int block)
        {
            (int first, int end) = Operands.Of.KeysOf(batch, 0, Sizes.Seq);
            int rows = Math.Min(CpuAttentionBlock.Keys, Sizes.Capacity - block), dim = Sizes.Dim;
            (first, end) = (Math.Max(first, block), Math.Min(end, block + rows));
            AttentionKeyGradients sums = tile.KeySums(Operands.Dkey != null, Operands.Dvalue != null);
            long at = Sizes.KeyRow(batch, block, keyHead);
            for (int i = 0; i < Sizes.HeadsPerKey; i++)
            {
                Clear(sums.Dkey, sums.Stride, rows);
                Clear(sums.Dvalue, sums.Stride, rows);
                if (first < end)
                {
                    int query = Sizes.FirstQuery(first) / CpuAttentionBlock.Queries * CpuAttentionBlock.Queries;
                    for (; query < Sizes.EndQuery(end - 1); query += CpuAttentionBlock.Queries)
                    {
                        tile.Begin(batch, keyHead * Sizes.HeadsPerKey + i, query, wantsQuery: false);
                        tile.Add(first, Math.Min(end, Sizes.Visible(query + tile.Count - 1)), sums.From(first - block));
                    }
                }
                if (sums.Dkey != null) Take(sums.Dkey, Operands.Dkey + at, rows, add: i > 0);
                if (sums.Dvalue != null) Take(sums.Dvalue, Operands.Dvalue + at, rows, add: i > 0);
            }
        }

        private readonly void SumOfHeads(int batch, int keyHead, int block)
        {
            int dim = Sizes.Dim, end = Math.Min(Sizes.Capacity, block + CpuAttentionBlock.Keys), rows = Math.Max(0, Math.Min(end, Sizes.Keys) - block);
            long at = Sizes.KeyRow(batch, block, keyHead);
            for (int i = 0; i < Sizes.HeadsPerKey; i++)
            {
                long from = (((long)batch * Sizes.Heads + keyHead * Sizes.HeadsPerKey + i) * Sizes.Keys + block) * dim;
                if (Operands.Dkey != null) Take(Operands.HeadDkey + from, Operands.Dkey + at, rows, add: i > 0);
                if (Operands.Dvalue != null) Take(Operands.HeadDvalue + from, Operands.Dvalue + at, rows, add: i > 0);
            }
            at += rows * Operands.Of.KeyStride;
            if (Operands.Dkey != null) Clear(Operands.Dkey + at, Operands.Of.KeyStride, end - block - rows);
            if (Operands.Dvalue != null) Clear(Operands.Dvalue + at, Operands.Of.KeyStride, end - block - rows);
        }

        /// <summary>Rows of sums become, or are added to, rows of a gradient of keys.</summary>
        private readonly void Take(float* from, float* to, int rows, bool add)
        {
            int dim = Sizes.Dim;
            for (int i = 0; i < rows; i++, from += dim, to += Operands.Of.KeyStride)
                if (add) CpuRow.Map<CpuAdd.ForwardOp, TVector>(new(), to, from, to, dim);
                else new ReadOnlySpan<float>(from, dim).CopyTo(new(to, dim));
        }

        private readonly void Clear(float* gradient, nint stride, int rows)
        {
            if (gradient == null) return;
            for (int i = 0; i < rows; i++, gradient += stride) new Span<float>(gradient, Sizes.Dim).Clear();
        }
    }
}
