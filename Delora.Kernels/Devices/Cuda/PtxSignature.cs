using System.Globalization;
using System.Text.RegularExpressions;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>A parameter of an entry: its bytes and what its offset is a multiple of.</summary>
internal readonly record struct PtxParameter(int Size, int Alignment);

/// <summary>The name and the parameters of an entry, as a PTX text declares them (PTX ISA, section "Kernel Function Parameters").</summary>
internal sealed partial class PtxSignature
{
    private PtxSignature(string entry, PtxParameter[] parameters)
    {
        Entry = entry;
        Parameters = parameters;
        Offsets = new int[parameters.Length];
        int end = 0;
        for (int i = 0; i < parameters.Length; i++)
        {
            Offsets[i] = KernelLayout.Align(end, parameters[i].Alignment);
            end = checked(Offsets[i] + parameters[i].Size);
        }
    }

    /// <summary>The name of the entry.</summary>
    internal string Entry { get; }

    /// <summary>The parameters, in order.</summary>
    internal IReadOnlyList<PtxParameter> Parameters { get; }

    /// <summary>
    /// Where each parameter begins in a launch's bytes, which lie as in a C struct. In the card's memory they may lie otherwise: parameters begin there at
    /// an address that is no multiple of 64, so that the assembler moves those that want such a multiple.
    /// </summary>
    internal int[] Offsets { get; }

    /// <summary>Reads the declaration of an entry; without a name, of the only one.</summary>
    /// <exception cref="DeviceException">There is none or more than one, or a parameter is declared as this reader does not know.</exception>
    internal static PtxSignature Read(string ptx, string? entry = null)
    {
        string text = Comment().Replace(ptx, " ");
        Match[] found = [.. EntryHead().Matches(text).Where(match => entry is null || match.Groups["name"].Value == entry)];
        if (found.Length != 1)
            throw new DeviceException($"the PTX text has {found.Length} entries{(entry is null ? "" : $" '{entry}'")}: there must be one");
        string list = found[0].Groups["parameters"].Value;
        var parameters = string.IsNullOrWhiteSpace(list) ? [] : Array.ConvertAll(list.Split(','), Read);
        return new(found[0].Groups["name"].Value, parameters);

        static PtxParameter Read(string declaration)
        {
            if (Parameter().Match(declaration) is not { Success: true } match)
                throw new DeviceException($"a parameter of a kernel is declared as '{declaration.Trim()}'; known are scalars and arrays of bytes");
            int element = Number(match.Groups["bits"]) / 8;
            int size = match.Groups["length"].Success ? checked(element * Number(match.Groups["length"])) : element;
            return new(size, match.Groups["align"].Success ? Number(match.Groups["align"]) : element);
        }

        static int Number(Group group) => int.Parse(group.ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture);
    }

    /// <summary>For instance <c>4 bytes at 0, 16 at 8</c>.</summary>
    internal static string Describe(IEnumerable<PtxParameter> parameters) =>
        string.Join(", ", parameters.Select(parameter => $"{parameter.Size} (aligned to {parameter.Alignment})"));

    [GeneratedRegex(@"//[^\n]*|/\*.*?\*/", RegexOptions.Singleline)]
    private static partial Regex Comment();

    [GeneratedRegex(@"\.entry\s+(?<name>[\w$%]+)\s*(\((?<parameters>[^)]*)\))?")]
    private static partial Regex EntryHead();

    // What follows .ptr says where a pointer points to, not how the parameter lies.
    [GeneratedRegex(
        @"^\s*\.param\s+(\.align\s+(?<align>\d+)\s+)?\.(bf|[busf])(?<bits>\d+)\s+"
        + @"(\.ptr(\s+\.(global|const|local|shared|generic))?(\s+\.align\s+\d+)?\s+)?"
        + @"[\w$%]+\s*(\[\s*(?<length>\d+)\s*\])?\s*$")]
    private static partial Regex Parameter();
}
