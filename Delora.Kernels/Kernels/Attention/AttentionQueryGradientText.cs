using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// The gradient of the queries on tensor cores: a group computes dq of a tile of queries of a head from all tiles of keys they see, with p computed again from z.
/// </summary>
internal static class AttentionQueryGradientText
{
    /// <summary>Keys of a tile.</summary>
    internal static int Keys(AttentionVariant variant) => variant.RowTiles > 1 || variant.Dim > 64 ? 32 : 64;

    /// <summary>
    /// Parameters: query, key, value, dy (16 bits), mask, z, D (dy · y), dq; seq, keys, capacity, heads, kvHeads, window; scale / ln 2, scale. Grid: tiles of queries,
    /// heads, batch.
    /// </summary>
    internal static PtxText Write(AttentionVariant variant)
    {
        var w = new PtxWriter(variant.Entry("query_gradient"), AttentionText.Threads, 2);
        w.About("dq = scale · Σ_j p_j (dy · v_j − D) k_j, for a tile of queries of a head");
        B64 query = w.Pointer("query", 16), key = w.Pointer("key", 16), value = w.Pointer("value", 16), dy = w.Pointer("dy", 16), mask = w.Pointer("mask");
        B64 logSumExp = w.Pointer("log_sum_exp"), products = w.Pointer("products"), dquery = w.Pointer("dquery", 8);
        B32 seq = w.Parameter("seq"), keys = w.Parameter("keys"), capacity = w.Parameter("capacity");
        B32 heads = w.Parameter("heads"), kvHeads = w.Parameter("kv_heads"), window = w.Parameter("window");
        F32 factor = w.FloatParameter("factor"), scale = w.FloatParameter("scale");
        w.SharedBase();
        var text = new AttentionText(w, variant);
        int tileKeys = Keys(variant), stage = tileKeys * text.Stride;
        B32 queryTile = w.AddressOf(text.Tile("query_tile", variant.Rows)), gradientTile = w.AddressOf(text.Tile("gradient_tile", variant.Rows));
        B32 keyTiles = w.AddressOf(text.Tile("key_tiles", tileKeys, 2)), valueTiles = w.AddressOf(text.Tile("value_tiles", tileKeys, 2));

        B32 first = ((w.Groups('x') - w.Group('x') - 1) * variant.Rows).As("first_query");
        B32 head = w.Group('y'), batch = w.Group('z');
        B32 keyHead = (head / (heads / kvHeads)).As("key_head");
        B32 queryBytes = text.RowBytes(heads, "query_bytes"), keyBytes = text.RowBytes(kvHeads, "key_bytes");
        B64 queries = text.Head(query, batch, seq, head, queryBytes).As("queries"), gradients = text.Head(dy, batch, seq, head, queryBytes).As("gradients");
        B64 headKeys = text.Head(key, batch, capacity, keyHead, keyBytes).As("head_keys");
        B64 headValues = text.Head(value, batch, capacity, keyHead, keyBytes).As("head_values");
        var sees = new AttentionSight(text, seq, keys, window, first, mask, batch, capacity);
        B64 statistics = (w.Long(batch) * w.Long(heads) + w.Long(head)) * w.Long(seq) << 2;
        var rows = new AttentionStatistics(text, logSumExp + statistics, products + statistics, first, seq);

        F32[][][] sums = text.Sums("sum", text.Padded);
        text.Clear(sums);
        text.Copy(queryTile, queries, queryBytes, variant.Rows, first, seq, "queries");
        text.Copy(gradientTile, gradients, queryBytes, variant.Rows, first, seq, "their gradients");
        B32 from = w.New<B32>("from"), to = sees.End(tileKeys, out B32 begin);
        w.Set(from, begin);
        text.Copy(keyTiles, headKeys, keyBytes, tileKeys, from, keys, "keys");
        text.Copy(valueTiles, headValues, keyBytes, tileKeys, from, keys, "values");
        w.CommitCopies();
        B32 offset = w.New<B32>("stage");
        w.Set(offset, 0);
        B32 warpOffset = w.MultiplyAdd(text.Warp, 16 * variant.RowTiles * text.Stride, text.RowOfLane);
        B32 queryRows = (queryTile + warpOffset).As("query_rows"), gradientRows = (gradientTile + warpOffset).As("gradient_rows");
        Pred any = from < to;
        using (w.If(any, "keys"))
        {
            w.Loop("keys", () =>
            {
                w.WaitForCopies(0);
                w.Barrier();
                B32 next = (from + tileKeys).As("next"), other = (w.Constant(stage) - offset).As("other_stage");
                Pred more = (next < to).As("more");
                using (w.If(more, "copy"))
                {
                    text.Copy(keyTiles + other, headKeys, keyBytes, tileKeys, next, keys, "the next keys");
                    text.Copy(valueTiles + other, headValues, keyBytes, tileKeys, next, keys, "the next values");
                    w.CommitCopies();
                }
                F32[][][] scores = text.Sums("score", tileKeys), products = text.Sums("product", tileKeys);
                text.Clear(scores);
                text.Clear(products);
                text.AddScores(scores, step => text.Left(queryRows, step), (keyTiles + offset + text.ColumnOfLane).As("key_columns"));
                text.AddScores(products, step => text.Left(gradientRows, step), (valueTiles + offset + text.ColumnOfLane).As("value_columns"));
                rows.ToGradients(scores, products, factor);
                // A row without keys has z = −∞, and p = NaN until here.
                sees.Replace(scores, from, tileKeys, 0f);
                text.AddWeighted(sums, scores, (keyTiles + offset + text.RowOfLane).As("key_rows"));
                w.Set(from, next);
                w.Set(offset, other);
                return more;
            });
        }
        w.WaitForCopies(0);
        text.Store(sums, dquery, batch, seq, heads, head, first, seq, scale);
        return w.Finish();
    }
}

/// <summary>z and D of the rows of queries that a thread has.</summary>
internal sealed class AttentionStatistics
{
    private readonly AttentionText _text;
    private readonly F32[] _z, _products;

    internal AttentionStatistics(AttentionText text, B64 logSumExp, B64 products, B32 first, B32 seq)
    {
        _text = text;
        PtxWriter w = text.W;
        int rows = 2 * text.Variant.RowTiles;
        (_z, _products) = (w.New<F32>("z", rows), w.New<F32>("d", rows));
        for (int i = 0; i < rows; i++)
        {
            B32 row = first + w.MultiplyAdd(text.Warp, 16 * text.Variant.RowTiles, text.Quad) + 8 * i;
            w.Set(_z[i], 0f);
            w.Set(_products[i], 0f);
            Pred exists = row < seq;
            PtxAddress z = logSumExp.Plus(row, 4).At(), product = products.Plus(row, 4).At();
            using (w.When(exists))
            {
                w.LoadConstant(z, _z[i]);
                w.LoadConstant(product, _products[i]);
            }
            // p = 2^(s · scale / ln 2 − z / ln 2).
            w.Emit("mul.f32", _z[i], _z[i], -1 / MathF.Log(2));
        }
    }

    /// <summary>Scores become p (dy · v − D), from the products dy · v.</summary>
    internal void ToGradients(F32[][][] scores, F32[][][] products, F32 factor)
    {
        PtxWriter w = _text.W;
        using PtxEnd scope = w.Scope("gradients of the scores");
        for (int m = 0; m < scores.Length; m++)
            for (int n = 0; n < scores[m].Length; n++)
                for (int i = 0; i < 4; i++)
                {
                    int row = 2 * m + i / 2;
                    F32 p = _text.Exp2(w.Result<F32>("fma.rn.f32", scores[m][n][i], factor, _z[row]));
                    w.Emit("mul.f32", scores[m][n][i], p, products[m][n][i] - _products[row]);
                }
    }
}
