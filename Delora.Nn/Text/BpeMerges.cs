namespace Delora.Nn;

/// <summary>The pairs of symbols that a BPE vocabulary merges: the lowest rank first, at equal ranks the leftmost.</summary>
internal sealed class BpeMerges
{
    // The hash of a pair of numbers is seeded and mixes both; that of one long is the same for many pairs that a file can choose.
    private readonly Dictionary<(int Left, int Right), (int Rank, int Id)> _merges = [];

    public int Count => _merges.Count;

    public bool TryAdd(int left, int right, int rank, int id) => _merges.TryAdd((left, right), (rank, id));

    public bool TryGet(int left, int right, out (int Rank, int Id) merge) => _merges.TryGetValue((left, right), out merge);
}
