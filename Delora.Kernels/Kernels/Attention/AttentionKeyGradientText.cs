using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// The gradients of keys and values on tensor cores: a group computes dk and dv of a tile of keys of a head from all tiles of queries that see them, over the
/// heads of queries that share the head, in order. Scores are transposed here, [keys, queries], so that they are the left operands of both sums.
/// </summary>
internal static class AttentionKeyGradientText
{
    /// <summary>Queries of a tile.</summary>
    internal static int Queries(AttentionVariant variant) => variant.Dim > 64 ? 32 : 64;

    /// <summary>
    /// Parameters: query, key, value, dy (16 bits), mask, z, D (dy · y), dk, dv (0 where it is not wanted); seq, keys, capacity, heads, kvHeads, window; scale / ln 2,
    /// scale. Grid: tiles of keys up to the capacity, heads of keys, batch.
    /// </summary>
    internal static PtxText Write(AttentionVariant variant)
    {
        var w = new PtxWriter(variant.Entry("key_gradient"), AttentionText.Threads, 2);
        w.About("dk = scale · Σ_t p_t (dy_t · v − D_t) q_t and dv = Σ_t p_t dy_t, for a tile of keys of a head");
        B64 query = w.Pointer("query", 16), key = w.Pointer("key", 16), value = w.Pointer("value", 16), dy = w.Pointer("dy", 16), mask = w.Pointer("mask");
        B64 logSumExp = w.Pointer("log_sum_exp"), products = w.Pointer("products"), dkey = w.Pointer("dkey", 8), dvalue = w.Pointer("dvalue", 8);
        B32 seq = w.Parameter("seq"), keys = w.Parameter("keys"), capacity = w.Parameter("capacity");
        B32 heads = w.Parameter("heads"), kvHeads = w.Parameter("kv_heads"), window = w.Parameter("window");
        F32 factor = w.FloatParameter("factor"), scale = w.FloatParameter("scale");
        w.SharedBase();
        var text = new AttentionText(w, variant);
        int tileQueries = Queries(variant), stage = tileQueries * text.Stride;
        B32 keyTile = w.AddressOf(text.Tile("key_tile", variant.Rows)), valueTile = w.AddressOf(text.Tile("value_tile", variant.Rows));
        B32 queryTiles = w.AddressOf(text.Tile("query_tiles", tileQueries, 2)), gradientTiles = w.AddressOf(text.Tile("gradient_tiles", tileQueries, 2));

        B32 first = (w.Group('x') * variant.Rows).As("first_key"), keyHead = w.Group('y'), batch = w.Group('z');
        B32 shared = (heads / kvHeads).As("heads_per_key");
        B32 queryBytes = text.RowBytes(heads, "query_bytes"), keyBytes = text.RowBytes(kvHeads, "key_bytes");
        B64 headKeys = text.Head(key, batch, capacity, keyHead, keyBytes).As("head_keys");
        B64 headValues = text.Head(value, batch, capacity, keyHead, keyBytes).As("head_values");
        var seen = new AttentionSeen(text, seq, keys, window, first, mask, batch, capacity);

        F32[][][] keySums = text.Sums("key_sum", text.Padded), valueSums = text.Sums("value_sum", text.Padded);
        text.Clear(keySums);
        text.Clear(valueSums);
        text.Copy(keyTile, headKeys, keyBytes, variant.Rows, first, keys, "keys");
        text.Copy(valueTile, headValues, keyBytes, variant.Rows, first, keys, "values");
        // Here, not with the first queries: a group without any must wait for these, too, before it ends.
        w.CommitCopies();
        B32 to = seen.End(tileQueries, out B32 begin);
        B32 head = w.New<B32>("head"), from = w.New<B32>("from"), offset = w.New<B32>("stage");
        w.Emit("mul.lo.s32", head, keyHead, shared);
        B32 headEnd = (head + shared).As("head_end");
        w.Set(from, begin);
        w.Set(offset, 0);
        B32 warpOffset = w.MultiplyAdd(text.Warp, 16 * variant.RowTiles * text.Stride, text.RowOfLane);
        B32 keyRows = (keyTile + warpOffset).As("key_rows"), valueRows = (valueTile + warpOffset).As("value_rows");

        void CopyQueries(B32 ofHead, B32 at, B32 into)
        {
            B64 queries = text.Head(query, batch, seq, ofHead, queryBytes), gradients = text.Head(dy, batch, seq, ofHead, queryBytes);
            text.Copy(queryTiles + into, queries, queryBytes, tileQueries, at, seq, "queries");
            text.Copy(gradientTiles + into, gradients, queryBytes, tileQueries, at, seq, "their gradients");
            w.CommitCopies();
        }

        Pred any = from < to;
        using (w.If(any, "queries"))
        {
            CopyQueries(head, from, offset);
            w.Loop("queries", () =>
            {
                w.WaitForCopies(0);
                w.Barrier();
                // The next tile of this head, or the first of the next head.
                B32 after = from + tileQueries, other = (w.Constant(stage) - offset).As("other_stage");
                Pred same = after < to;
                B32 next = w.Select(same, after, begin).As("next"), nextHead = (head + w.Select(same, 0, 1)).As("next_head");
                Pred more = (nextHead < headEnd).As("more");
                using (w.If(more, "copy")) CopyQueries(nextHead, next, other);
                B64 statistics = ((w.Long(batch) * w.Long(heads) + w.Long(head)) * w.Long(seq) + w.Long(from) << 2).As("statistics");
                F32[][][] scores = text.Sums("score", tileQueries), gradients = text.Sums("product", tileQueries);
                text.Clear(scores);
                text.Clear(gradients);
                text.AddScores(scores, step => text.Left(keyRows, step), (queryTiles + offset + text.ColumnOfLane).As("query_columns"));
                text.AddScores(gradients, step => text.Left(valueRows, step), (gradientTiles + offset + text.ColumnOfLane).As("gradient_columns"));
                seen.ToGradients(scores, gradients, logSumExp + statistics, products + statistics, from, factor);
                text.AddWeighted(valueSums, scores, (gradientTiles + offset + text.RowOfLane).As("gradient_rows"));
                text.AddWeighted(keySums, gradients, (queryTiles + offset + text.RowOfLane).As("query_rows"));
                w.Set(from, next);
                w.Set(head, nextHead);
                w.Set(offset, other);
                return more;
            });
        }
        w.WaitForCopies(0);
        using (w.If(!dkey.Is(0), "dkey")) text.Store(keySums, dkey, batch, capacity, kvHeads, keyHead, first, capacity, scale);
        using (w.If(!dvalue.Is(0), "dvalue")) text.Store(valueSums, dvalue, batch, capacity, kvHeads, keyHead, first, capacity, null);
        return w.Finish();
    }
}

/// <summary>Which queries see the keys of a tile, in a text whose rows are keys: the queries in [low, high) of each row (see <see cref="AttentionSizes"/>).</summary>
internal sealed class AttentionSeen
{
    private readonly AttentionText _text;
    private readonly B32 _seq, _keys, _window, _first, _before;
    private readonly B32[] _low, _high;

    internal AttentionSeen(AttentionText text, B32 seq, B32 keys, B32 window, B32 first, B64 mask, B32 batch, B32 capacity)
    {
        PtxWriter w = text.W;
        (_text, _seq, _keys, _window, _first) = (text, seq, keys, window, first);
        _before = (keys - seq).As("before");
        B64 ofBatch = mask + (w.Long(batch) * w.Long(capacity) << 2);
        int rows = 2 * text.Variant.RowTiles;
        _low = new B32[rows];
        _high = w.New<B32>("high", rows);
        for (int i = 0; i < rows; i++)
        {
            B32 key = first + w.MultiplyAdd(text.Warp, 16 * text.Variant.RowTiles, text.Quad) + 8 * i;
            _low[i] = text.Variant.Causal ? (key - _before).As("low") : w.Constant(0);
            Pred exists = key < keys;
            w.Set(_high[i], w.Select(exists, w.Min(seq, key + window - _before), 0));
            if (!text.Variant.HasMask) continue;
            B32 flag = w.New<B32>("kept");
            w.Set(flag, 0);
            PtxAddress place = ofBatch.Plus(key, 4).At();
            using (w.When(exists)) w.LoadConstant(place, flag);
            w.Set(_high[i], w.Select(flag.Is(0), 0, _high[i]));
        }
    }

    /// <summary>The tiles of queries that see any of the keys: from a multiple of the tile on until before the result.</summary>
    internal B32 End(int tileQueries, out B32 begin)
    {
        PtxWriter w = _text.W;
        begin = w.Constant(0);
        if (_text.Variant.Causal)
        {
            begin = w.Max(_first - _before, 0);
            begin = (begin - begin % tileQueries).As("begin");
        }
        B32 end = w.Min(_first + _text.Variant.Rows, _keys) - 1 + _window - _before;
        // Keys beyond the valid ones have no queries.
        return w.Select(_first < _keys, w.Min(_seq, end), 0).As("end");
    }

    /// <summary>Scores become p, and the products dy · v become p (dy · v − D); both 0 where a query does not see the key.</summary>
    internal void ToGradients(F32[][][] scores, F32[][][] products, B64 logSumExp, B64 d, B32 from, F32 factor)
    {
        PtxWriter w = _text.W;
        using PtxEnd scope = w.Scope("probabilities, and gradients of the scores");
        B32 column = (from + _text.Pair).As("column"), left = _seq - from;
        for (int n = 0; n < scores[0].Length; n++)
            for (int c = 0; c < 2; c++)
            {
                B32 query = column + (8 * n + c), inTile = _text.Pair + (8 * n + c);
                F32 z = w.New<F32>("z"), product = w.New<F32>("d");
                w.Set(z, 0f);
                w.Set(product, 0f);
                Pred exists = inTile < left;
                PtxAddress zPlace = logSumExp.Plus(inTile, 4).At(), productPlace = d.Plus(inTile, 4).At();
                using (w.When(exists))
                {
                    w.LoadConstant(zPlace, z);
                    w.LoadConstant(productPlace, product);
                }
                F32 negative = z * (-1 / MathF.Log(2));
                for (int m = 0; m < scores.Length; m++)
                    for (int half = 0; half < 2; half++)
                    {
                        Pred seen = (query < _high[2 * m + half]) & (query >= _low[2 * m + half]);
                        F32 score = scores[m][n][2 * half + c], gradient = products[m][n][2 * half + c];
                        w.Set(score, w.SelectFloat(seen, _text.Exp2(w.Result<F32>("fma.rn.f32", score, factor, negative)), 0f));
                        w.Emit("mul.f32", gradient, score, gradient - product);
                    }
            }
    }
}
