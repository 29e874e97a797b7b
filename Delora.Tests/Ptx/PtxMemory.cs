namespace Delora.Tests.Ptx;

/// <summary>Bytes that kernels may access, by their addresses on the host.</summary>
internal readonly record struct PtxRange(ulong Start, ulong End, bool IsWritable = true);

/// <summary>
/// The global memory: ranges of the host's memory. What is outside of them is a fault. <paramref name="allocations"/> is asked again when an address is not
/// found, and at a launch when <paramref name="version"/> tells of another state; without a version, at every launch.
/// </summary>
internal sealed class PtxMemory(Func<IEnumerable<PtxRange>> allocations, Func<long>? version = null)
{
    private PtxRange[] _ranges = [];
    private long? _version;

    /// <summary>Asks for the ranges anew if they may have changed.</summary>
    internal void Refresh()
    {
        long? now = version?.Invoke();
        if (now is not null && now == _version) return;
        Read();
        _version = now;
    }

    private void Read()
    {
        PtxRange[] ranges = [.. allocations()];
        Array.Sort(ranges, static (a, b) => a.Start.CompareTo(b.Start));
        _ranges = ranges;
    }

    /// <summary>The range with all of these bytes.</summary>
    internal bool TryFind(ulong address, ulong size, out PtxRange range)
    {
        if (Search(address, size, out range)) return true;
        Read();
        return Search(address, size, out range);
    }

    private bool Search(ulong address, ulong size, out PtxRange range)
    {
        int low = 0, high = _ranges.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) / 2;
            range = _ranges[middle];
            if (address < range.Start) high = middle - 1;
            else if (address >= range.End) low = middle + 1;
            else return range.End - address >= size;
        }
        range = default;
        return false;
    }
}
