namespace Delora.Cli;

/// <summary>
/// The row numbers of endless epochs, each in an order of its own that <paramref name="seed"/> fixes, cut into batches of one size. What is
/// left of an epoch goes on into the next, so every row is seen once before any is seen twice.
/// </summary>
/// <param name="rows">Number of rows, at least 1.</param>
/// <param name="batch">Rows per batch, at least 1.</param>
/// <param name="seed">Names the order.</param>
internal sealed class ShuffledBatches(int rows, int batch, ulong seed)
{
    private readonly int[] _order = [.. Enumerable.Range(0, Positive(rows))];
    private readonly int[] _batch = new int[Positive(batch)];
    private int _next = rows;
    private ulong _epoch;

    /// <summary>The rows of the next batch; valid until the next call.</summary>
    public ReadOnlySpan<int> Next()
    {
        for (int i = 0; i < _batch.Length; i++)
        {
            if (_next == _order.Length)
                Shuffle();
            _batch[i] = _order[_next++];
        }

        return _batch;
    }

    /// <summary>Fisher and Yates; the counter-based draws need no state beyond the epoch's number.</summary>
    private void Shuffle()
    {
        ulong key = StableHash.Mix(seed + (++_epoch * 0x9E3779B97F4A7C15));
        for (int i = _order.Length - 1; i > 0; i--)
        {
            int j = (int)Math.BigMul(StableHash.Mix(key + ((ulong)i * 0x9E3779B97F4A7C15)), (ulong)i + 1, out _);
            (_order[i], _order[j]) = (_order[j], _order[i]);
        }

        _next = 0;
    }

    private static int Positive(int value)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
        return value;
    }
}
