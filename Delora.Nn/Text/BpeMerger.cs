namespace Delora.Nn;

/// <summary>
/// Merges words by a table, in O(n log n) for n symbols: a word of a million letters takes a second, not hours. One thread at a time.
/// </summary>
internal sealed class BpeMerger(BpeMerges merges)
{
    private readonly PriorityQueue<(int Left, int Id), long> _queue = new();
    private int[] _next = [], _previous = [];

    /// <summary>Merges the symbols in place; what is left of them stands at the front.</summary>
    /// <returns>How many are left.</returns>
    public int Merge(Span<int> symbols)
    {
        if (symbols.Length < 2) return symbols.Length;
        if (_next.Length < symbols.Length)
        {
            _next = new int[Math.Max(64, symbols.Length)];
            _previous = new int[_next.Length];
        }
        for (int i = 0; i < symbols.Length; i++)
        {
            _previous[i] = i - 1;
            _next[i] = i + 1;
            Offer(symbols, i);
        }

        while (_queue.TryDequeue(out (int Left, int Id) merge, out _))
        {
            int left = merge.Left;
            // An entry lives on after one of its two symbols was merged otherwise: then the pair there makes another token, or none.
            if (_next[left] < 0 || !Pair(symbols, left, out (int Rank, int Id) now) || now.Id != merge.Id) continue;
            int right = _next[left];
            symbols[left] = merge.Id;
            _next[left] = _next[right];
            _next[right] = -1;
            if (_next[left] < symbols.Length) _previous[_next[left]] = left;
            Offer(symbols, left);
            if (_previous[left] >= 0) Offer(symbols, _previous[left]);
        }

        int count = 0;
        for (int i = 0; i < symbols.Length; i = _next[i]) symbols[count++] = symbols[i];
        return count;
    }

    private void Offer(Span<int> symbols, int left)
    {
        if (_next[left] < symbols.Length && Pair(symbols, left, out (int Rank, int Id) merge))
            _queue.Enqueue((left, merge.Id), ((long)merge.Rank << 32) | (uint)left);
    }

    private bool Pair(Span<int> symbols, int left, out (int Rank, int Id) merge)
    {
        merge = default;
        return _next[left] < symbols.Length && merges.TryGet(symbols[left], symbols[_next[left]], out merge);
    }
}
