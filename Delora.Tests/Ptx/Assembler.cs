using System.Diagnostics;

namespace Delora.Tests.Ptx;

/// <summary>NVIDIA's assembler, where there is one (<c>DELORA_PTXAS</c>, or <c>ptxas</c> in the path): what the machine runs must also assemble.</summary>
internal static class Assembler
{
    internal static string? Path { get; } =
        Environment.GetEnvironmentVariable("DELORA_PTXAS")
        ?? (Environment.GetEnvironmentVariable("PATH") ?? "").Split(System.IO.Path.PathSeparator)
            .Select(folder => System.IO.Path.Combine(folder, OperatingSystem.IsWindows() ? "ptxas.exe" : "ptxas")).FirstOrDefault(File.Exists);

    /// <summary>Assembles a text for its own target; a failure fails the test with the assembler's words. Without an assembler nothing happens.</summary>
    internal static void Check(string text)
    {
        if (Path is null) return;
        string target = text.Split('\n').First(line => line.StartsWith(".target", StringComparison.Ordinal))[8..].Trim();
        string source = System.IO.Path.GetTempFileName();
        try
        {
            File.WriteAllText(source, text);
            string output = Run(Path, $"-arch={target}", "-o", OperatingSystem.IsWindows() ? "NUL" : "/dev/null", source);
            Assert.True(output.Length == 0 || !output.StartsWith("exit code", StringComparison.Ordinal), output + "\n" + text);
        }
        finally
        {
            File.Delete(source);
        }
    }

    /// <summary>What the program writes; <c>exit code</c> comes first if it failed.</summary>
    internal static string Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd() + errors.Result;
        process.WaitForExit();
        return process.ExitCode == 0 ? output : string.Create(System.Globalization.CultureInfo.InvariantCulture, $"exit code {process.ExitCode}\n{output}");
    }
}
