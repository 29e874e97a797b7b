namespace Delora.Nn;

/// <summary>The pairs of symbols that a BPE vocabulary merges: the lowest rank first, at equal ranks the leftmost.</summary>
internal sealed class BpeMerges
{
    private readonly Dictionary<long, (int Rank, int Id)> _merges = [];

    public int Count => _merges.Count;

    public bool TryAdd(int left, int right, int rank, int id) => _merges.TryAdd(Key(left, right), (rank, id));

    public bool TryGet(int left, int right, out (int Rank, int Id) merge) => _merges.TryGetValue(Key(left, right), out merge);

    private static long Key(int left, int right) => ((long)left << 32) | (uint)right;
}
