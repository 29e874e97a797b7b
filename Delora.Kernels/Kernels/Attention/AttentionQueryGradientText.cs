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
        B32 queryTile = w.AddressOf(text.Tile("query_tile", variant.Rows)), gradientTile = w.AddressOf(text.Tile("gradient_tile", variant.Rows));
        int tileKeys = Keys(variant);
        var walk = new AttentionKeyWalk(text, tileKeys, key, value, mask, seq, keys, capacity, heads, kvHeads, window);
        B64 statistics = (w.Long(walk.Batch) * w.Long(heads) + w.Long(walk.Head)) * w.Long(seq) << 2;
        var rows = new AttentionStatistics(text, logSumExp + statistics, products + statistics, walk.First, seq);

        F32[][][] sums = text.Sums("sum", text.Padded);
        text.Clear(sums);
        B32 queries = walk.CopyQueries(queryTile, query, "queries"), gradients = walk.CopyQueries(gradientTile, dy, "their gradients");
        walk.ForEachTile((from, tileOfKeys, tileOfValues) =>
        {
            F32[][][] scores = text.Sums("score", tileKeys), products = text.Sums("product", tileKeys);
            text.Clear(scores);
            text.Clear(products);
            text.AddScores(scores, step => text.Left(queries, step), (tileOfKeys + text.ColumnOfLane).As("key_columns"));
            text.AddScores(products, step => text.Left(gradients, step), (tileOfValues + text.ColumnOfLane).As("value_columns"));
            rows.ToGradients(scores, products, factor);
            // A row without keys has z = −∞, and p = NaN until here.
            walk.Sees.Replace(scores, from, tileKeys, 0f);
            text.AddWeighted(sums, scores, (tileOfKeys + text.RowOfLane).As("key_rows"));
        });
        text.Store(sums, dquery, walk.Batch, seq, heads, walk.Head, walk.First, seq, scale);
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
