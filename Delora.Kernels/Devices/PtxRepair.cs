using System.Reflection;
using System.Text.RegularExpressions;
using ILGPU.Backends;
using ILGPU.Backends.PTX;

namespace Delora.Kernels;

/// <summary>
/// Corrects the PTX that ILGPU 1.5.3 writes at its higher optimization level: it marks conditional branches <c>.uni</c> on which the
/// threads of a warp differ, and PTX leaves such a program undefined (ILGPU's issue 846). The mark is a hint, so that taking it away is
/// right everywhere; it also lets the driver's assembler unroll again.
/// </summary>
internal static partial class PtxRepair
{
    private static readonly FieldInfo? s_text =
        typeof(PTXCompiledKernel).GetField("<PTXAssembly>k__BackingField", BindingFlags.Instance | BindingFlags.NonPublic);

    /// <summary>Repairs the text of a compiled CUDA kernel; every other kind is left as it is.</summary>
    /// <exception cref="NotSupportedException">This version of ILGPU keeps its text elsewhere.</exception>
    internal static void Apply(CompiledKernel kernel)
    {
        if (kernel is not PTXCompiledKernel ptx) return;
        if (s_text is null) throw new NotSupportedException("the repair of CUDA kernels knows ILGPU 1.5.3 only");
        s_text.SetValue(ptx, Repair(ptx.PTXAssembly));
    }

    /// <summary>The text without the mark on branches.</summary>
    internal static string Repair(string ptx) => UniformBranch().Replace(ptx, "$1");

    [GeneratedRegex(@"\b(bra|brx\.idx)\.uni\b")]
    private static partial Regex UniformBranch();
}
