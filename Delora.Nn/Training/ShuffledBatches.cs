namespace Delora.Nn;

/// <summary>
/// The row numbers of endless epochs, each in an order of its own that the seed fixes, cut into batches of one size. What is left of an
/// epoch goes on into the next, so every row is seen once before any is seen twice. The order is the same on every platform and in every
/// version. Not for several threads at once.
/// </summary>
public sealed class ShuffledBatches
{
    private readonly ulong _seed;
    private readonly int[] _order, _batch;
    private int _next;
    private long _epoch;

    /// <summary>Batches that start with the first.</summary>
    /// <param name="rows">Number of rows, at least 1.</param>
    /// <param name="batch">Rows per batch, at least 1; may be more than <paramref name="rows"/>.</param>
    /// <param name="seed">Names the order.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is below 1.</exception>
    public ShuffledBatches(int rows, int batch, ulong seed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        _seed = seed;
        _order = new int[rows];
        _batch = new int[batch];
        Restart();
    }

    /// <summary>Batches that lie behind: <see cref="Next"/> gives the one with this number, from 0.</summary>
    public long Position { get; private set; }

    /// <summary>The rows of the next batch; valid until the next call.</summary>
    public ReadOnlySpan<int> Next()
    {
        for (int i = 0; i < _batch.Length; i++)
        {
            if (_next == _order.Length) Shuffle();
            _batch[i] = _order[_next++];
        }

        Position++;
        return _batch;
    }

    /// <summary>
    /// Goes to a batch, forwards or backwards: what <see cref="Next"/> then gives is what it gives after so many calls on a new object.
    /// Takes the time of shuffling the epochs in between, and no memory.
    /// </summary>
    /// <param name="batch">Number of the batch, from 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is negative, or lies beyond 2⁶³ rows.</exception>
    public void SkipTo(long batch)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(batch);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(batch, long.MaxValue / _batch.Length);
        if (batch < Position) Restart();
        (long epochs, long rest) = Math.DivRem(batch * _batch.Length, (long)_order.Length);
        // The order of an epoch starts from the one before, so none can be left out.
        while (_epoch < (rest > 0 ? epochs + 1 : epochs)) Shuffle();
        _next = rest > 0 ? (int)rest : _order.Length;
        Position = batch;
    }

    private void Restart()
    {
        for (int i = 0; i < _order.Length; i++) _order[i] = i;
        _next = _order.Length;
        _epoch = Position = 0;
    }

    /// <summary>Fisher and Yates; the counter-based draws need no state beyond the epoch's number.</summary>
    private void Shuffle()
    {
        ulong key = StableHash.Mix(_seed + ((ulong)++_epoch * 0x9E3779B97F4A7C15));
        for (int i = _order.Length - 1; i > 0; i--)
        {
            int j = (int)Math.BigMul(StableHash.Mix(key + ((ulong)i * 0x9E3779B97F4A7C15)), (ulong)i + 1, out _);
            (_order[i], _order[j]) = (_order[j], _order[i]);
        }

        _next = 0;
    }
}
