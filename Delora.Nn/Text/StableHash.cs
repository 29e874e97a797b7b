namespace Delora.Nn;

/// <summary>
/// A hash of text that is the same on every platform, in every process and version: FNV-1a over UTF-16 code units, then mixed.
/// </summary>
public static class StableHash
{
    private const ulong Offset = 14695981039346656037, Prime = 1099511628211;

    /// <summary>Hash of <paramref name="text"/>; different <paramref name="salt"/>s give independent hashes.</summary>
    public static ulong Of(ReadOnlySpan<char> text, ulong salt = 0)
    {
        ulong hash = Offset ^ (salt * 0x9E3779B97F4A7C15);
        foreach (char c in text)
        {
            hash = (hash ^ (byte)c) * Prime;
            hash = (hash ^ (byte)(c >> 8)) * Prime;
        }

        return Mix(hash);
    }

    /// <summary>The finalizer of SplitMix64: FNV-1a alone leaves its upper bits poorly mixed for short texts.</summary>
    public static ulong Mix(ulong x)
    {
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }
}
