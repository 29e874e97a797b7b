using System.Reflection;
using System.Text.RegularExpressions;
using ILGPU.Backends;
using ILGPU.Backends.OpenCL;

namespace Delora.Kernels;

/// <summary>
/// Corrects the OpenCL C that ILGPU 1.5.3 writes for dynamic shared memory: it keeps the group's pointer in a variable of the whole program, which
/// every group overwrites when it starts. Where the local memory of groups that run at once has one address for all, as on GPUs, that does no
/// harm; where it has not (PoCL with two or more compute units), groups compute in each other's memory. The pointer becomes a variable of the
/// kernel, as is its length.
/// </summary>
internal static partial class OpenClRepair
{
    private static readonly FieldInfo? s_text =
        typeof(CLCompiledKernel).GetField("<Source>k__BackingField", BindingFlags.Instance | BindingFlags.NonPublic);

    /// <summary>Repairs the text of a compiled OpenCL kernel; every other kind is left as it is.</summary>
    /// <exception cref="NotSupportedException">This version of ILGPU keeps its text elsewhere, or writes it otherwise.</exception>
    internal static void Apply(CompiledKernel kernel)
    {
        if (kernel is not CLCompiledKernel openCl) return;
        if (s_text is null) throw new NotSupportedException("the repair of OpenCL kernels knows ILGPU 1.5.3 only");
        s_text.SetValue(openCl, Repair(openCl.Source));
    }

    /// <summary>The text with the declarations of shared memory at the beginning of the kernel.</summary>
    internal static string Repair(string source)
    {
        string declarations = string.Concat(ProgramVariable().Matches(source).Select(match => "\t" + match.Value));
        if (declarations.Length == 0) return source;
        source = ProgramVariable().Replace(source, "");
        if (KernelHead().Match(source) is not { Success: true } head || SharedName().IsMatch(source.AsSpan(0, head.Index)))
            throw new NotSupportedException("a function outside of the kernel uses its shared memory; the repair of OpenCL kernels knows none");
        return source.Insert(head.Index + head.Length, declarations);
    }

    [GeneratedRegex(@"^(local [\w ]+\*|int) shared_var_\w+;\r?\n", RegexOptions.Multiline)]
    private static partial Regex ProgramVariable();

    [GeneratedRegex(@"^kernel void \w+\([^)]*\)\s*\{\r?\n", RegexOptions.Multiline)]
    private static partial Regex KernelHead();

    [GeneratedRegex(@"\bshared_var_\w+")]
    private static partial Regex SharedName();
}
