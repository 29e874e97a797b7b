using System.Runtime.InteropServices;

namespace Delora.Nn;

/// <summary>
/// How often each pair of neighbours occurs in a list of words, kept up to date while the most frequent is merged: a merge touches only
/// the words that hold its pair.
/// </summary>
internal sealed class PairCounts
{
    private readonly int[][] _symbols;
    private readonly int[] _lengths;
    private readonly long[] _times;
    private readonly Dictionary<(int Left, int Right), long> _counts = [];
    private readonly Dictionary<(int Left, int Right), HashSet<int>> _words = [];

    /// <summary>
    /// The highest count first, then the lowest ids. An entry whose count is no longer true is put back with the true one.
    /// </summary>
    private readonly PriorityQueue<(int Left, int Right, long Count), (long, int, int)> _queue = new();

    public PairCounts(List<(int[] Symbols, long Count)> words)
    {
        _symbols = [.. words.Select(word => word.Symbols)];
        _lengths = [.. _symbols.Select(symbols => symbols.Length)];
        _times = [.. words.Select(word => word.Count)];
        for (int word = 0; word < _symbols.Length; word++)
            for (int i = 0; i + 1 < _lengths[word]; i++)
                Add((_symbols[word][i], _symbols[word][i + 1]), _times[word], word);
        foreach (((int left, int right), long count) in _counts) Offer(left, right, count);
    }

    /// <summary>Merges until there are so many new tokens, or no pair occurs twice.</summary>
    /// <param name="firstId">Id of the first new token.</param>
    /// <param name="most">New tokens at most.</param>
    public List<(int Left, int Right, int Id)> Merge(int firstId, int most)
    {
        List<(int Left, int Right, int Id)> merges = [];
        while (merges.Count < most && _queue.TryDequeue(out (int Left, int Right, long Count) top, out _))
        {
            long count = _counts.GetValueOrDefault((top.Left, top.Right));
            if (count < 2) continue;
            if (count != top.Count)
            {
                Offer(top.Left, top.Right, count);
                continue;
            }
            int id = firstId + merges.Count;
            merges.Add((top.Left, top.Right, id));
            MergePair((top.Left, top.Right), id);
        }
        return merges;
    }

    private void MergePair((int Left, int Right) pair, int id)
    {
        _words.Remove(pair, out HashSet<int>? holders);
        HashSet<(int Left, int Right)> grown = [];
        foreach (int word in holders!)
        {
            int[] symbols = _symbols[word];
            int length = _lengths[word], count = 0;
            for (int i = 0; i + 1 < length; i++) Add((symbols[i], symbols[i + 1]), -_times[word], word);
            for (int i = 0; i < length; i++)
            {
                bool found = i + 1 < length && symbols[i] == pair.Left && symbols[i + 1] == pair.Right;
                symbols[count++] = found ? id : symbols[i];
                if (found) i++;
            }
            _lengths[word] = count;
            for (int i = 0; i + 1 < count; i++)
            {
                (int Left, int Right) next = (symbols[i], symbols[i + 1]);
                Add(next, _times[word], word);
                if (next.Left == id || next.Right == id) grown.Add(next);
            }
        }
        _counts.Remove(pair);
        foreach ((int left, int right) in grown) Offer(left, right, _counts[(left, right)]);
    }

    private void Add((int Left, int Right) pair, long times, int word)
    {
        CollectionsMarshal.GetValueRefOrAddDefault(_counts, pair, out _) += times;
        if (times < 0) return;
        ref HashSet<int>? holders = ref CollectionsMarshal.GetValueRefOrAddDefault(_words, pair, out _);
        (holders ??= []).Add(word);
    }

    private void Offer(int left, int right, long count) => _queue.Enqueue((left, right, count), (-count, left, right));
}
