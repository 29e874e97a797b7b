using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// A group's way from a tile of queries of a head over all tiles of keys that they see: keys and values of the next tile are copied while the present one is computed.
/// Grid: tiles of queries, of which those with the most keys begin first; heads; batch.
/// </summary>
internal sealed class AttentionKeyWalk
{
    private readonly AttentionText _text;
    private readonly int _tileKeys;
    private readonly B32 _seq, _keys, _queryBytes, _keyBytes, _keyTiles, _valueTiles, _warpOffset;
    private readonly B64 _headKeys, _headValues;

    internal AttentionKeyWalk(
        AttentionText text, int tileKeys, B64 key, B64 value, B64 mask, B32 seq, B32 keys, B32 capacity, B32 heads, B32 kvHeads, B32 window)
    {
        PtxWriter w = text.W;
        (_text, _tileKeys, _seq, _keys) = (text, tileKeys, seq, keys);
        _keyTiles = w.AddressOf(text.Tile("key_tiles", tileKeys, 2));
        _valueTiles = w.AddressOf(text.Tile("value_tiles", tileKeys, 2));
        First = ((w.Groups('x') - w.Group('x') - 1) * text.Variant.Rows).As("first_query");
        (Head, Batch) = (w.Group('y'), w.Group('z'));
        B32 keyHead = (Head / (heads / kvHeads)).As("key_head");
        (_queryBytes, _keyBytes) = (text.RowBytes(heads, "query_bytes"), text.RowBytes(kvHeads, "key_bytes"));
        _headKeys = text.Head(key, Batch, capacity, keyHead, _keyBytes).As("head_keys");
        _headValues = text.Head(value, Batch, capacity, keyHead, _keyBytes).As("head_values");
        Sees = new AttentionSight(text, seq, keys, window, First, mask, Batch, capacity);
        _warpOffset = w.MultiplyAdd(text.Warp, 16 * text.Variant.RowTiles * text.Stride, text.RowOfLane);
    }

    /// <summary>The tile's first query.</summary>
    internal B32 First { get; }

    internal B32 Head { get; }

    internal B32 Batch { get; }

    internal AttentionSight Sees { get; }

    /// <summary>Begins to copy rows that belong to the queries into a tile.</summary>
    /// <returns>The address of the warp's first row plus <see cref="AttentionText.RowOfLane"/>.</returns>
    internal B32 CopyQueries(B32 tile, B64 rows, string what)
    {
        _text.Copy(tile, _text.Head(rows, Batch, _seq, Head, _queryBytes), _queryBytes, _text.Variant.Rows, First, _seq, what);
        return (tile + _warpOffset).As("warp_rows");
    }

    /// <summary>Does something with each tile of keys, and waits for all copies.</summary>
    /// <param name="body">Gets the tile's first key, and where its keys and values lie in shared memory.</param>
    internal void ForEachTile(Action<B32, B32, B32> body)
    {
        PtxWriter w = _text.W;
        B32 from = w.New<B32>("from"), to = Sees.End(_tileKeys, out B32 begin), offset = w.New<B32>("stage");
        w.Set(from, begin);
        w.Set(offset, 0);
        CopyKeys(from, offset);
        Pred any = from < to;
        using (w.If(any, "keys"))
        {
            w.Loop("keys", () =>
            {
                w.WaitForCopies(0);
                w.Barrier();
                B32 next = (from + _tileKeys).As("next"), other = (w.Constant(_tileKeys * _text.Stride) - offset).As("other_stage");
                Pred more = (next < to).As("more");
                using (w.If(more, "copy")) CopyKeys(next, other);
                body(from, _keyTiles + offset, _valueTiles + offset);
                w.Set(from, next);
                w.Set(offset, other);
                return more;
            });
        }
        w.WaitForCopies(0);
    }

    private void CopyKeys(B32 first, B32 stage)
    {
        _text.Copy(_keyTiles + stage, _headKeys, _keyBytes, _tileKeys, first, _keys, "keys");
        _text.Copy(_valueTiles + stage, _headValues, _keyBytes, _tileKeys, first, _keys, "values");
        _text.W.CommitCopies();
    }
}
