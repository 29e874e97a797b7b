using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// Which keys the queries of a tile see, in a text whose rows are queries: the keys in [low, high) of each row, but masked ones (see <see cref="AttentionSizes"/>).
/// </summary>
internal sealed class AttentionSight
{
    private readonly AttentionText _text;
    private readonly B32 _seq, _keys, _window, _first, _position;
    private readonly B64 _mask;
    private readonly B32[] _low, _high;

    internal AttentionSight(AttentionText text, B32 seq, B32 keys, B32 window, B32 first, B64 mask, B32 batch, B32 capacity)
    {
        PtxWriter w = text.W;
        (_text, _seq, _keys, _window, _first) = (text, seq, keys, window, first);
        // Query t stands at the place of key `keys − seq + t`.
        _position = (keys - seq + first).As("position");
        _mask = mask + (w.Long(batch) * w.Long(capacity) << 2);
        B32 warpRow = w.MultiplyAdd(text.Warp, 16 * text.Variant.RowTiles, text.Quad);
        int rows = 2 * text.Variant.RowTiles;
        (_low, _high) = (new B32[rows], new B32[rows]);
        for (int i = 0; i < rows; i++)
        {
            B32 after = (_position + warpRow + (8 * i + 1)).As("after");
            _low[i] = (after - window).As("low");
            _high[i] = text.Variant.Causal ? w.Min(keys, after).As("high") : keys;
        }
    }

    /// <summary>The tiles of keys that any query sees: from a multiple of the tile on until before the result.</summary>
    internal B32 End(int tileKeys, out B32 begin)
    {
        PtxWriter w = _text.W;
        begin = w.Max(_position + 1 - _window, 0);
        begin = (begin - begin % tileKeys).As("begin");
        if (!_text.Variant.Causal) return _keys;
        B32 queries = w.Min(_seq - _first, _text.Variant.Rows);
        return w.Min(_keys, _position + queries).As("end");
    }

    /// <summary>Scores of keys that their query does not see become −∞; only tiles that have some are looked at.</summary>
    internal void Hide(F32[][][] scores, B32 from, int tileKeys) => Replace(scores, from, tileKeys, float.NegativeInfinity);

    /// <summary>Numbers of keys that their query does not see become <paramref name="value"/>.</summary>
    internal void Replace(F32[][][] numbers, B32 from, int tileKeys, float value)
    {
        PtxWriter w = _text.W;
        using PtxEnd scope = w.Scope("what is not seen");
        PtxLabel end = w.Label("all_seen");
        if (!_text.Variant.HasMask)
        {
            B32 last = _position + w.Min(_seq - _first, _text.Variant.Rows);
            B32 seen = _text.Variant.Causal ? w.Min(_keys, _position + 1) : _keys;
            Pred some = (from + tileKeys > seen) | (from < last - _window);
            w.Branch(end, !some);
        }
        B32 column = (from + _text.Pair).As("column");
        for (int n = 0; n < numbers[0].Length; n++)
            for (int c = 0; c < 2; c++)
            {
                B32 key = column + (8 * n + c);
                Pred? kept = null;
                if (_text.Variant.HasMask)
                {
                    B32 flag = w.New<B32>("kept");
                    w.Set(flag, 0);
                    Pred exists = key < _keys;
                    using (w.When(exists)) w.LoadConstant(_mask.Plus(key, 4).At(), flag);
                    kept = w.Result<Pred>("setp.ne.s32", flag, 0);
                }
                for (int m = 0; m < numbers.Length; m++)
                    for (int half = 0; half < 2; half++)
                    {
                        Pred seen = (key < _high[2 * m + half]) & (key >= _low[2 * m + half]);
                        if (kept is not null) seen &= kept;
                        F32 number = numbers[m][n][2 * half + c];
                        w.Emit("selp.f32", number, number, value, seen);
                    }
            }
        w.Place(end);
    }
}
