using System.Globalization;

namespace Delora.Kernels;

/// <summary>
/// What a card can do: its compute capability, the newest PTX version that its driver reads (83 is 8.3), multiprocessors, and the most shared memory
/// that a group may have when it asks (228 KiB less one on a card of 9.0).
/// </summary>
internal sealed record PtxTarget(int Major, int Minor, int PtxVersion, int Multiprocessors, int MaxSharedBytes, int MaxThreads = 1024)
{
    /// <summary>Threads of a warp, on every CUDA card.</summary>
    internal const int WarpSize = 32;

    // What kernels may rely on; a newer driver reads older texts.
    private const int NewestVersion = 83;

    private static readonly int[] s_known = [50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90];

    /// <summary>10 · major + minor, as in <c>sm_90</c>.</summary>
    internal int ComputeCapability => 10 * Major + Minor;

    /// <summary>
    /// The word of <c>.target</c>: the newest known one that the card runs. 9.0 has instructions of its own (<c>sm_90a</c>, from PTX 8.0 on; PTX ISA, section
    /// "PTX Module Directives: .target"), which no later card runs.
    /// </summary>
    internal string Name =>
        ComputeCapability == 90 && PtxVersion >= 80 ? "sm_90a"
        : string.Create(CultureInfo.InvariantCulture, $"sm_{s_known.LastOrDefault(known => known <= ComputeCapability, s_known[0])}");

    /// <summary>The first lines of a text: <c>.version</c>, as new as the driver reads and kernels need, <c>.target</c> and <c>.address_size</c>.</summary>
    internal string Header => $"{VersionLine}\n{TargetLine}\n.address_size 64\n";

    /// <summary>The line <c>.version</c>.</summary>
    internal string VersionLine
    {
        get
        {
            int version = Math.Min(PtxVersion, NewestVersion);
            return string.Create(CultureInfo.InvariantCulture, $".version {version / 10}.{version % 10}");
        }
    }

    /// <summary>The line <c>.target</c>.</summary>
    internal string TargetLine => $".target {Name}";

    /// <summary>
    /// The newest PTX version that a driver surely reads, from its CUDA version (12040 is 12.4): 11.x reads 7.x, 12.x reads 8.x up to 12.5, and later ones
    /// at least 8.5 (PTX ISA, "Release Notes").
    /// </summary>
    internal static int VersionOf(int driverVersion)
    {
        int major = driverVersion / 1000, minor = driverVersion % 1000 / 10;
        return major switch
        {
            < 11 => 60,
            11 => 70 + Math.Min(minor, 8),
            12 => 80 + Math.Min(minor, 5),
            _ => 90,
        };
    }
}
