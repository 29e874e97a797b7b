using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Delora.Bench.Compare;

/// <summary>One side in a process of its own, spoken to by <see cref="SideLoop"/>'s commands.</summary>
internal sealed class SideProcess : IDisposable
{
    private readonly Process _process;

    private SideProcess(Process process) => _process = process;

    /// <summary>Delora's side: this program.</summary>
    internal static SideProcess StartOwn() => Start([typeof(SideProcess).Assembly.Location, "compare-side"], tuned: false);

    /// <summary>libtorch's side.</summary>
    /// <param name="path">The peer's assembly.</param>
    /// <param name="tuned">Whether glibc is told to keep the memory that is given back to it, which spares page faults.</param>
    /// <exception cref="InvalidOperationException">It does not start; the message says why.</exception>
    internal static SideProcess StartPeer(string path, bool tuned)
    {
        SideProcess peer = Start([path], tuned);
        try
        {
            peer.Greeting = peer.Answer();
            return peer;
        }
        catch
        {
            peer.Dispose();
            throw;
        }
    }

    /// <summary>What the peer says of itself.</summary>
    internal string Greeting { get; private set; } = "";

    internal void Prepare(CompareCase @case) => Ask($"case {@case}");

    internal void Settle() => Ask("settle");

    internal Dictionary<string, double[]> Results() => JsonSerializer.Deserialize<Dictionary<string, double[]>>(Ask("results"))!;

    /// <summary>Seconds for each of <paramref name="count"/> runs.</summary>
    internal double Time(int count) => Number($"time {count}") / count;

    internal double Number(string command) => double.Parse(Ask(command), CultureInfo.InvariantCulture);

    /// <summary>Whether it can be asked nothing more.</summary>
    internal bool HasEnded => _process.HasExited;

    public void Dispose()
    {
        try
        {
            _process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It has ended, and what was left to be written with it.
        }
        if (!_process.WaitForExit(TimeSpan.FromSeconds(20))) _process.Kill();
        _process.Dispose();
    }

    private static SideProcess Start(string[] arguments, bool tuned)
    {
        var info = new ProcessStartInfo(Environment.ProcessPath is { } host && Path.GetFileNameWithoutExtension(host) == "dotnet" ? host : "dotnet", arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        if (tuned)
            info.Environment["GLIBC_TUNABLES"] = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=17179869184:glibc.malloc.top_pad=67108864";
        Process process = Process.Start(info) ?? throw new InvalidOperationException("dotnet does not start.");
        process.ErrorDataReceived += (_, _) => { };
        process.BeginErrorReadLine();
        return new SideProcess(process);
    }

    private string Ask(string command)
    {
        try
        {
            _process.StandardInput.WriteLine(command);
            _process.StandardInput.Flush();
        }
        catch (IOException error)
        {
            throw new InvalidOperationException($"the process ended before '{command}'.", error);
        }
        return Answer();
    }

    /// <summary>Its output has ended; it follows in a moment, and is asked nothing more then.</summary>
    private InvalidOperationException Ended()
    {
        _process.WaitForExit(TimeSpan.FromSeconds(5));
        return new("the process ended.");
    }

    private string Answer()
    {
        string line = _process.StandardOutput.ReadLine() ?? throw Ended();
        return line.StartsWith("error ", StringComparison.Ordinal) ? throw new InvalidOperationException(line["error ".Length..]) : line;
    }
}
