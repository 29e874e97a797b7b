using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Delora.Tests.KernelCompilation;

/// <summary>What NVIDIA's assembler says of a PTX text.</summary>
/// <param name="Registers">Registers of a thread, the most of all entries.</param>
/// <param name="StackBytes">Bytes of local memory of a thread.</param>
/// <param name="SpilledBytes">Bytes of registers that do not fit, written or read.</param>
/// <param name="Report">All it says.</param>
/// <param name="Machine">The machine instructions, as <c>cuobjdump</c> shows them; null where they were not asked for or that is missing.</param>
internal sealed record PtxReport(int Registers, int StackBytes, int SpilledBytes, string Report, string? Machine);

/// <summary>
/// NVIDIA's assembler <c>ptxas</c>: <c>DELORA_PTXAS</c> names it, else it is looked for in PATH. <c>cuobjdump</c> is looked for beside it.
/// </summary>
internal static partial class NvidiaAssembler
{
    /// <summary>Why a test is skipped that needs it.</summary>
    internal const string Missing = "ptxas was not found: set DELORA_PTXAS to its path, or put it into PATH";

    /// <summary>The assembler's path; null where there is none.</summary>
    internal static string? Path { get; } =
        Environment.GetEnvironmentVariable("DELORA_PTXAS")
        ?? (Environment.GetEnvironmentVariable("PATH") ?? "").Split(System.IO.Path.PathSeparator)
            .Select(folder => System.IO.Path.Combine(folder, OperatingSystem.IsWindows() ? "ptxas.exe" : "ptxas")).FirstOrDefault(File.Exists);

    /// <summary>Assembles a text; fails the test with the assembler's words where it does not assemble.</summary>
    /// <param name="text">The PTX text.</param>
    /// <param name="architecture">For instance <c>sm_80</c>.</param>
    /// <param name="disassemble">Whether to ask for the machine instructions.</param>
    internal static PtxReport Assemble(string text, string architecture, bool disassemble = false)
    {
        Assert.SkipWhen(Path is null, Missing);
        string source = System.IO.Path.GetTempFileName(), binary = System.IO.Path.GetTempFileName();
        try
        {
            File.WriteAllText(source, text);
            (int code, string report) = Run(Path!, "-v", $"-arch={architecture}", "-o", binary, source);
            Assert.True(code == 0, string.Create(CultureInfo.InvariantCulture, $"exit code {code}\n{report}\n{text}"));
            Match[] sizes = [.. StackAndSpills().Matches(report).Cast<Match>()];
            Assert.NotEmpty(sizes);
            return new(
                Registers().Matches(report).Cast<Match>().Max(Number), sizes.Max(size => Number(size.Groups[1])),
                sizes.Max(size => Number(size.Groups[2]) + Number(size.Groups[3])), report,
                disassemble ? Dump(binary, "--dump-sass") : null);
        }
        finally
        {
            File.Delete(source);
            File.Delete(binary);
        }
    }

    /// <summary>The parameters of a text's only entry in the card's memory: where they lie, and how many bytes a launch copies of each.</summary>
    internal static (int Offset, int Size)[] Parameters(string text, string architecture)
    {
        Assert.SkipWhen(Path is null, Missing);
        string source = System.IO.Path.GetTempFileName(), binary = System.IO.Path.GetTempFileName();
        try
        {
            File.WriteAllText(source, text);
            (int code, string report) = Run(Path!, $"-arch={architecture}", "-o", binary, source);
            Assert.True(code == 0, report);
            string? dump = Dump(binary, "--dump-elf");
            Assert.SkipWhen(dump is null, "cuobjdump is not beside ptxas");
            return [.. ParameterInfo().Matches(dump!).OrderBy(match => Hex(match.Groups[1])).Select(match => (Hex(match.Groups[2]), Hex(match.Groups[3])))];
        }
        finally
        {
            File.Delete(source);
            File.Delete(binary);
        }

        static int Hex(Group digits) => int.Parse(digits.ValueSpan, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }

    /// <summary>Assembles a text for the target that it names; without an assembler nothing happens.</summary>
    internal static void Check(string text)
    {
        if (Path is null) return;
        Assemble(text, text.Split('\n').First(line => line.StartsWith(".target", StringComparison.Ordinal))[8..].Trim());
    }

    private static string? Dump(string binary, string what)
    {
        string dump = System.IO.Path.Combine(System.IO.Path.GetDirectoryName(Path) ?? "", OperatingSystem.IsWindows() ? "cuobjdump.exe" : "cuobjdump");
        if (!File.Exists(dump)) return null;
        (int code, string text) = Run(dump, what, binary);
        Assert.True(code == 0, text);
        return text;
    }

    private static int Number(Capture match) => int.Parse(match.ValueSpan, CultureInfo.InvariantCulture);

    private static (int Code, string Output) Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd() + errors.Result;
        process.WaitForExit();
        return (process.ExitCode, output);
    }

    [GeneratedRegex(@"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")]
    private static partial Regex StackAndSpills();

    [GeneratedRegex(@"Ordinal : 0x(\w+)\s+Offset\s+: 0x(\w+)\s+Size\s+: 0x(\w+)")]
    private static partial Regex ParameterInfo();

    [GeneratedRegex(@"\d+(?= registers)")]
    private static partial Regex Registers();
}
