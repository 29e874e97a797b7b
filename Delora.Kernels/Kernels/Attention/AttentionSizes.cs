using Delora.Core;

namespace Delora.Kernels;

/// <summary>The measures of an attention, checked, as every device takes them.</summary>
internal struct AttentionSizes
{
    internal int Batch, Seq, Heads, KvHeads, Dim, Capacity, Keys, Causal, Window;

    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    internal AttentionSizes(string op, Tensor query, Tensor key, Tensor value, Tensor? mask, AttentionOptions options)
    {
        Check.HasRank(op, query, 4);
        Check.HasRank(op, key, 4);
        Check.SameShape(op, key, value);
        ReadOnlySpan<int> q = query.Shape.Dims, k = key.Shape.Dims;
        Check.Shapes(q[0] == k[0], $"{op}: batches differ: query {query.Shape}, key {key.Shape} ({q[0]} ≠ {k[0]})");
        Check.Shapes(q[3] == k[3], $"{op}: dimensions of the heads differ: query {query.Shape}, key {key.Shape} ({q[3]} ≠ {k[3]})");
        Check.Shapes(q[3] > 0, $"{op}: heads without dimensions: query {query.Shape}, key {key.Shape}");
        Check.Shapes(
            k[2] > 0 && q[2] > 0 && q[2] % k[2] == 0,
            $"{op}: heads of the query must be a multiple of the heads of the key: query {query.Shape}, key {key.Shape} ({q[2]}, {k[2]})");
        if (mask is not null) Check.HasShape(op, mask, [k[0], k[1]]);
        (Batch, Seq, Heads, KvHeads, Dim, Capacity) = (q[0], q[1], q[2], k[2], q[3], k[1]);
        Keys = options.Keys ?? Capacity;
        Check.Shapes(Keys >= 0 && Keys <= Capacity, $"{op}: {Keys} keys in key {key.Shape}, which has room for {Capacity}");
        Check.Shapes(
            !options.Causal || Keys >= Seq,
            $"{op}: causal attention needs a key for every query: query {query.Shape}, key {key.Shape} with {Keys} keys ({Keys} < {Seq})");
        Check.Shapes(options.Window is not < 1, $"{op}: a window of {options.Window} keys; a query must see one at least");
        Causal = options.Causal ? 1 : 0;
        // No distance is as large as Keys.
        Window = Math.Min(options.Window ?? Keys, Keys);
    }

    /// <summary>Heads of the queries that share a head of keys and values.</summary>
    internal readonly int HeadsPerKey => Heads / KvHeads;

    /// <summary>The keys that query t can see are those below this, apart from masked ones.</summary>
    internal readonly int Visible(int t) => Causal != 0 ? Keys - Seq + t + 1 : Keys;

    /// <summary>The keys that any of these queries can see lie in [First, End), apart from masked ones.</summary>
    internal readonly (int First, int End) KeysOf(int query, int queries) => (FirstKey(query), Visible(query + queries - 1));

    /// <summary>The first key that is not too far behind query t.</summary>
    internal readonly int FirstKey(int t) => Math.Max(0, Keys - Seq + t + 1 - Window);

    /// <summary>The first query that can see key j.</summary>
    internal readonly int FirstQuery(int j) => Causal != 0 ? Math.Max(0, j - (Keys - Seq)) : 0;

    /// <summary>The queries that can see key j are those below this.</summary>
    internal readonly int EndQuery(int j) => (int)Math.Max(0, Math.Min(Seq, (long)j + Window - (Keys - Seq)));

    /// <summary>Where the row of query t and head h starts, in elements.</summary>
    internal readonly long QueryRow(int batch, int t, int head) => (((long)batch * Seq + t) * Heads + head) * Dim;

    /// <summary>Where the row of key j and its head starts, in elements.</summary>
    internal readonly long KeyRow(int batch, int j, int kvHead) => (((long)batch * Capacity + j) * KvHeads + kvHead) * Dim;

    /// <summary>Where the queries of a head start in [batch, heads, seq].</summary>
    internal readonly long StatisticsRow(int batch, int head) => ((long)batch * Heads + head) * Seq;
}
