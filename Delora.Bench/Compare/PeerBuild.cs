using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Delora.Bench.Compare;

/// <summary>Builds the peer, which is no part of the solution.</summary>
internal static class PeerBuild
{
    /// <summary>The path of its assembly.</summary>
    /// <exception cref="InvalidOperationException">It cannot be built here; the message says why.</exception>
    internal static string Build()
    {
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64)
            throw new InvalidOperationException("the peer is set up for Linux on x64 alone.");
        string folder = FindFolder() ?? throw new InvalidOperationException("Delora.Bench/Peer is not there: run from a clone of the repository.");
        var info = new ProcessStartInfo("dotnet", ["build", "-c", "Release", "-nologo", "-v", "q", folder])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(info) ?? throw new InvalidOperationException("dotnet does not start.");
        process.ErrorDataReceived += (_, _) => { };
        process.BeginErrorReadLine();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode == 0) return Path.Combine(folder, "bin", "Release", "net10.0", "Delora.Peer.dll");
        string? error = output.Split('\n').FirstOrDefault(line => line.Contains("error", StringComparison.Ordinal));
        throw new InvalidOperationException($"the peer does not build: {error?.Trim() ?? $"dotnet ended with {process.ExitCode}"}");
    }

    private static string? FindFolder()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
            if (File.Exists(Path.Combine(at.FullName, "Delora.Bench", "Peer", "Delora.Peer.csproj")))
                return Path.Combine(at.FullName, "Delora.Bench", "Peer");
        return null;
    }
}
