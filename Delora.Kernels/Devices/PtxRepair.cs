using System.Text.RegularExpressions;

namespace Delora.Kernels;

/// <summary>
/// Corrects the PTX that ILGPU 1.5.3 writes at its higher optimization level: it marks conditional branches <c>.uni</c> on which the
/// threads of a warp differ, and PTX leaves such a program undefined (ILGPU's issue 846). The mark is a hint, so that taking it away is
/// right everywhere; it also lets the driver's assembler unroll again.
/// </summary>
internal static partial class PtxRepair
{
    /// <summary>The text without the mark on branches.</summary>
    internal static string Repair(string ptx) => UniformBranch().Replace(ptx, "$1");

    [GeneratedRegex(@"\b(bra|brx\.idx)\.uni\b")]
    private static partial Regex UniformBranch();
}
