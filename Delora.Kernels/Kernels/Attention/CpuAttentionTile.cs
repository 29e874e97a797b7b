namespace Delora.Kernels;

/// <summary>The operands of the way back.</summary>
internal unsafe struct AttentionBackwardOperands
{
    public CpuAttentionOperands Of;
    public float* Dy, Dquery, Dkey, Dvalue;

    /// <summary>dk and dv of each head, [batch, heads, keys, dim], where several heads share keys.</summary>
    public float* HeadDkey, HeadDvalue;
}

/// <summary>Where gradients of keys are added; null where they are not wanted.</summary>
internal unsafe struct AttentionKeyGradients
{
    public float* Dkey, Dvalue;

    /// <summary>Floats from one key to the next.</summary>
    public nint Stride;

    internal readonly AttentionKeyGradients From(int key) => new()
    {
        Dkey = Dkey == null ? null : Dkey + key * Stride,
        Dvalue = Dvalue == null ? null : Dvalue + key * Stride,
        Stride = Stride,
    };
}

/// <summary>
/// The gradients from the tiles of one block of queries, one block of keys after another. Held for all of them, in the scratch of a member: scale·q and
/// scale·dy [dim, width], the first as the scores need it, q and dy [queries, dim], scale·D and z [width], and the sums of dq.
/// </summary>
internal unsafe struct CpuAttentionTile<TVector> where TVector : unmanaged, ISimd<TVector>
{
    private const int Queries = CpuAttentionBlock.Queries, Keys = CpuAttentionBlock.Keys;

    private readonly AttentionBackwardOperands _operands;
    private readonly float* _scores, _dp, _columns, _dyColumns, _rows, _dyRows, _sums, _d, _z, _keySums;
    private int _batch, _head, _query, _width;
    private bool _wantsQuery;

    /// <summary>Floats of scratch that a tile needs.</summary>
    internal static long Floats(int dim) => 2 * Keys * Queries + 2 * Queries + (5L * Queries + 2 * Keys) * dim;

    internal CpuAttentionTile(in AttentionBackwardOperands operands, float* scratch)
    {
        _operands = operands;
        nint block = (nint)operands.Of.Sizes.Dim * Queries;
        _scores = scratch;
        _dp = _scores + Keys * Queries;
        _d = _dp + Keys * Queries;
        _z = _d + Queries;
        _columns = _z + Queries;
        _dyColumns = _columns + block;
        _rows = _dyColumns + block;
        _dyRows = _rows + block;
        _sums = _dyRows + block;
        _keySums = _sums + block;
    }

    /// <summary>Queries in the block.</summary>
    internal int Count { get; private set; }

    /// <summary>Sums for a block of keys in this scratch.</summary>
    internal readonly AttentionKeyGradients KeySums(bool ofKey, bool ofValue) => new()
    {
        Dkey = ofKey ? _keySums : null,
        Dvalue = ofValue ? _keySums + (nint)Keys * _operands.Of.Sizes.Dim : null,
        Stride = _operands.Of.Sizes.Dim,
    };

    /// <summary>Makes a block of queries ready.</summary>
    internal void Begin(int batch, int head, int query, bool wantsQuery)
    {
        ref readonly CpuAttentionOperands of = ref _operands.Of;
        (_batch, _head, _query, _wantsQuery) = (batch, head, query, wantsQuery);
        Count = Math.Min(Queries, of.Sizes.Seq - query);
        _width = CpuAttentionBlock.Width<TVector>(Count);
        int dim = of.Sizes.Dim;
        long at = of.Sizes.QueryRow(batch, query, head);
        float* q = of.Query + at, dy = _operands.Dy + at, y = of.Y + at;
        CpuAttentionBlock.Transpose<TVector>(q, of.QueryStride, Count, dim, of.Scale, _columns, _width);
        CpuAttentionBlock.Transpose<TVector>(dy, of.QueryStride, Count, dim, of.Scale, _dyColumns, _width);
        float* z = of.LogSumExp + of.Sizes.StatisticsRow(batch, head) + query;
        for (int t = 0; t < _width; t++, q += of.QueryStride, dy += of.QueryStride, y += of.QueryStride)
        {
            // e^(s − ∞) = 0: who attends to nothing has no gradient.
            bool empty = t >= Count || float.IsNegativeInfinity(z[t]);
            _z[t] = empty ? float.PositiveInfinity : z[t];
            _d[t] = empty ? 0 : of.Scale * CpuAttentionBlock.Dot<TVector>(dy, y, dim);
            if (t >= Count) continue;
            new ReadOnlySpan<float>(q, dim).CopyTo(new(_rows + (nint)t * dim, dim));
            new ReadOnlySpan<float>(dy, dim).CopyTo(new(_dyRows + (nint)t * dim, dim));
        }
        if (wantsQuery) new Span<float>(_sums, Count * dim).Clear();
    }

    /// <summary>Adds what the keys from <paramref name="key"/> to <paramref name="end"/>, at most a block of them, contribute.</summary>
    internal readonly void Add(int key, int end, AttentionKeyGradients to)
    {
        ref readonly CpuAttentionOperands of = ref _operands.Of;
        int strip = CpuAttentionBlock.Strip<TVector>(), dim = of.Sizes.Dim, before = 0;
        long at = of.Sizes.KeyRow(_batch, key, _head / of.Sizes.HeadsPerKey);
        float* k = of.Key + at, v = of.Value + at;
        for (int t = 0; t < _width; t += strip)
        {
            int columns = Math.Min(strip, _width - t), queries = Math.Min(strip, Count - t);
            // Later keys are seen by later strips only.
            int keys = Math.Max(0, Math.Min(end, of.Sizes.Visible(_query + t + queries - 1)) - key);
            float* p = _scores + t, ds = _dp + t;
            CpuBlockProduct.Multiply<TVector>(keys, columns, dim, k, of.KeyStride, 1, _columns + t, _width, p, _width, add: false);
            CpuAttentionBlock.Hide(of.Sizes, of.MaskRow(_batch), key, keys, _query + t, p, columns, _width);
            CpuBlockProduct.Multiply<TVector>(keys, columns, dim, v, of.KeyStride, 1, _dyColumns + t, _width, ds, _width, add: false);
            CpuAttentionBlock.Differentiate<TVector>(p, ds, keys, columns, _width, _z + t, _d + t);
            if (_wantsQuery)
                CpuBlockProduct.Multiply<TVector>(queries, dim, keys, ds, 1, _width, k, of.KeyStride, _sums + (nint)t * dim, dim, add: true);
        }
        for (int t = 0; t < Count; t += strip)
        {
            // The keys that this strip is the first to see.
            int keys = Math.Max(before, Math.Min(end, of.Sizes.Visible(_query + Math.Min(t + strip, Count) - 1)) - key), rows = keys - before;
            nint from = (nint)before * _width + t;
            AttentionKeyGradients sums = to.From(before);
            if (sums.Dvalue != null)
                CpuBlockProduct.Multiply<TVector>(
                    rows, dim, Count - t, _scores + from, _width, 1, _dyRows + (nint)t * dim, dim, sums.Dvalue, to.Stride, add: true);
            if (sums.Dkey != null)
                CpuBlockProduct.Multiply<TVector>(
                    rows, dim, Count - t, _dp + from, _width, 1, _rows + (nint)t * dim, dim, sums.Dkey, to.Stride, add: true);
            before = keys;
        }
    }

    /// <summary>dq of the block.</summary>
    internal readonly void WriteQueryGradient()
    {
        int dim = _operands.Of.Sizes.Dim;
        float* to = _operands.Dquery + _operands.Of.Sizes.QueryRow(_batch, _query, _head), from = _sums;
        for (int t = 0; t < Count; t++, to += _operands.Of.QueryStride, from += dim)
            new ReadOnlySpan<float>(from, dim).CopyTo(new(to, dim));
    }
}
