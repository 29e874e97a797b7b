using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// The forward pass of attention on tensor cores: a group computes a tile of queries of a head against tiles of keys, one after the other, with the running
/// maximum and sum of the softmax (Milakov, Gimelshein 2018; Dao 2023, algorithm 1). Scores and probabilities stay in registers. Keys and values of the next tile are
/// copied while the present one is computed.
/// </summary>
internal static class AttentionForwardText
{
    /// <summary>Keys of a tile.</summary>
    internal static int Keys(AttentionVariant variant) => variant.RowTiles > 1 && variant.Dim > 64 ? 32 : 64;

    /// <summary>
    /// Parameters: query, key, value (16 bits), mask, y, logSumExp; seq, keys, capacity, heads, kvHeads, window; scale / ln 2. Grid: tiles of queries, heads, batch.
    /// </summary>
    internal static PtxText Write(AttentionVariant variant)
    {
        var w = new PtxWriter(variant.Entry("forward"), AttentionText.Threads, 2);
        w.About("y = softmax(scale · q kᵀ) v and z = log Σ e^s, for a tile of queries of a head");
        B64 query = w.Pointer("query", 16), key = w.Pointer("key", 16), value = w.Pointer("value", 16), mask = w.Pointer("mask");
        B64 y = w.Pointer("y", 8), logSumExp = w.Pointer("log_sum_exp");
        B32 seq = w.Parameter("seq"), keys = w.Parameter("keys"), capacity = w.Parameter("capacity");
        B32 heads = w.Parameter("heads"), kvHeads = w.Parameter("kv_heads"), window = w.Parameter("window");
        F32 factor = w.FloatParameter("factor");
        w.SharedBase();
        var text = new AttentionText(w, variant);
        B32 queryTile = w.AddressOf(text.Tile("query_tile", variant.Rows));
        int tileKeys = Keys(variant);
        var walk = new AttentionKeyWalk(text, tileKeys, key, value, mask, seq, keys, capacity, heads, kvHeads, window);

        F32[][][] sums = text.Sums("sum", text.Padded);
        text.Clear(sums);
        // Of the rows (lane / 4) and (lane / 4) + 8 of each tile of 16 rows.
        F32[] maxima = w.New<F32>("max", 2 * variant.RowTiles), totals = w.New<F32>("total", 2 * variant.RowTiles);
        foreach (F32 max in maxima) w.Set(max, float.NegativeInfinity);
        foreach (F32 total in totals) w.Set(total, 0f);

        B32 queries = walk.CopyQueries(queryTile, query, "queries");
        walk.ForEachTile((from, tileOfKeys, tileOfValues) =>
        {
            F32[][][] scores = text.Sums("score", tileKeys);
            text.Clear(scores);
            text.AddScores(scores, step => text.Left(queries, step), (tileOfKeys + text.ColumnOfLane).As("key_columns"));
            walk.Sees.Hide(scores, from, tileKeys);
            Softmax(text, scores, sums, maxima, totals, factor);
            text.AddWeighted(sums, scores, (tileOfValues + text.RowOfLane).As("value_rows"));
        });
        Store(text, sums, maxima, totals, factor, walk.First, seq, heads, walk.Head, walk.Batch, y, logSumExp);
        return w.Finish();
    }

    /// <summary>Scores become e^(s − max), and what was summed before is brought to the new maximum.</summary>
    private static void Softmax(AttentionText text, F32[][][] scores, F32[][][] sums, F32[] maxima, F32[] totals, F32 factor)
    {
        PtxWriter w = text.W;
        for (int m = 0; m < scores.Length; m++)
            for (int half = 0; half < 2; half++)
            {
                using PtxEnd scope = w.Scope("the softmax of a row");
                F32 max = maxima[2 * m + half], total = totals[2 * m + half], now = max;
                foreach (F32[] four in scores[m]) now = w.Max(w.Max(now, four[2 * half]), four[2 * half + 1]);
                now = w.Max(now, w.ShuffleXor(now, 1));
                now = w.Max(now, w.ShuffleXor(now, 2)).As("row_max");
                // A row that has seen no key yet: −∞ − −∞ would be NaN.
                F32 shift = w.SelectFloat(w.Result<Pred>("setp.eq.f32", now, float.NegativeInfinity), 0f, now * factor).As("shift");
                F32 negative = w.Result<F32>("neg.f32", shift);
                F32 rescale = text.Exp2(w.Result<F32>("fma.rn.f32", max, factor, negative)).As("rescale");
                w.Set(max, now);
                w.Emit("mul.f32", total, total, rescale);
                foreach (F32[] four in scores[m])
                    for (int c = 2 * half; c < 2 * half + 2; c++)
                    {
                        w.Set(four[c], text.Exp2(w.Result<F32>("fma.rn.f32", four[c], factor, negative)));
                        w.Emit("add.f32", total, total, four[c]);
                    }
                foreach (F32[] four in sums[m])
                    for (int c = 2 * half; c < 2 * half + 2; c++) w.Emit("mul.f32", four[c], four[c], rescale);
            }
    }

    private static void Store(
        AttentionText text, F32[][][] sums, F32[] maxima, F32[] totals, F32 factor, B32 first, B32 seq, B32 heads, B32 head, B32 batch, B64 y, B64 logSumExp)
    {
        PtxWriter w = text.W;
        for (int m = 0; m < sums.Length; m++)
            for (int half = 0; half < 2; half++)
            {
                using PtxEnd scope = w.Scope("store a row");
                F32 total = totals[2 * m + half];
                total += w.ShuffleXor(total, 1);
                total = (total + w.ShuffleXor(total, 2)).As("row_total");
                Pred none = w.Result<Pred>("setp.eq.f32", total, 0f), exists = text.RowIndex(first, m, half, out B32 row) < seq;
                F32 inverse = w.SelectFloat(none, 0f, w.Result<F32>("rcp.rn.f32", total)).As("inverse");
                // z = ln 2 · (max · scale / ln 2 + log2 total), −∞ where no key was seen.
                F32 logarithm = w.Result<F32>("lg2.approx.f32", total);
                F32 z = w.Result<F32>("fma.rn.f32", maxima[2 * m + half], factor, logarithm) * MathF.Log(2);
                F32 statistics = w.SelectFloat(none, float.NegativeInfinity, z);
                using (w.If(exists, "row"))
                {
                    B64 place = text.RowPlace(y, batch, seq, heads, head, row);
                    for (int n = 0; n < text.Variant.Dim / 8; n++)
                        w.StoreGlobal(place.At(32 * n), sums[m][n][2 * half] * inverse, sums[m][n][2 * half + 1] * inverse);
                    Pred isFirst = text.Pair.Is(0);
                    B64 statistic = logSumExp + ((w.Long(batch) * w.Long(heads) + w.Long(head)) * w.Long(seq) + w.Long(row) << 2);
                    using (w.When(isFirst)) w.StoreGlobal(statistic.At(), statistics);
                }
            }
    }
}
