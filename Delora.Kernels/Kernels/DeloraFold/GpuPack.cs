namespace Delora.Kernels;

/// <summary>
/// Up to <see cref="Most"/> pieces of work of one launch: the arguments of each, and the index that it ends before. A launch costs more than a small
/// piece of work, and arguments by value need no table in the device's memory.
/// </summary>
internal struct GpuPack<T> where T : struct
{
    /// <summary>Pieces of one launch.</summary>
    internal const int Most = 8;

    internal T P0, P1, P2, P3, P4, P5, P6, P7;
    internal int E0, E1, E2, E3, E4, E5, E6;

    /// <summary>Packs the pieces, each of which takes so many indices.</summary>
    internal static GpuPack<T> Of(ReadOnlySpan<T> pieces, ReadOnlySpan<long> counts, out long total)
    {
        Span<int> ends = stackalloc int[Most];
        total = 0;
        for (int i = 0; i < Most; i++)
        {
            if (i < counts.Length) total = checked(total + counts[i]);
            ends[i] = checked((int)total);
        }
        // Those that are not there repeat the first, since a view must be of some memory; no index is theirs.
        return new GpuPack<T>
        {
            P0 = pieces[0],
            P1 = pieces[pieces.Length > 1 ? 1 : 0],
            P2 = pieces[pieces.Length > 2 ? 2 : 0],
            P3 = pieces[pieces.Length > 3 ? 3 : 0],
            P4 = pieces[pieces.Length > 4 ? 4 : 0],
            P5 = pieces[pieces.Length > 5 ? 5 : 0],
            P6 = pieces[pieces.Length > 6 ? 6 : 0],
            P7 = pieces[pieces.Length > 7 ? 7 : 0],
            E0 = ends[0],
            E1 = ends[1],
            E2 = ends[2],
            E3 = ends[3],
            E4 = ends[4],
            E5 = ends[5],
            E6 = ends[6],
        };
    }

    /// <summary>In a kernel: the piece that an index belongs to.</summary>
    internal static T PieceOf(GpuPack<T> pack, int index)
    {
        T piece = pack.P0;
        if (index >= pack.E0) piece = pack.P1;
        if (index >= pack.E1) piece = pack.P2;
        if (index >= pack.E2) piece = pack.P3;
        if (index >= pack.E3) piece = pack.P4;
        if (index >= pack.E4) piece = pack.P5;
        if (index >= pack.E5) piece = pack.P6;
        if (index >= pack.E6) piece = pack.P7;
        return piece;
    }

    /// <summary>In a kernel: the first index of that piece.</summary>
    internal static int StartOf(GpuPack<T> pack, int index)
    {
        int start = 0;
        if (index >= pack.E0) start = pack.E0;
        if (index >= pack.E1) start = pack.E1;
        if (index >= pack.E2) start = pack.E2;
        if (index >= pack.E3) start = pack.E3;
        if (index >= pack.E4) start = pack.E4;
        if (index >= pack.E5) start = pack.E5;
        if (index >= pack.E6) start = pack.E6;
        return start;
    }
}
