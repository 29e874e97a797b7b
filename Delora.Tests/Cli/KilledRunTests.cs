using System.Diagnostics;
using System.Runtime.InteropServices;
using Delora.Cli;

namespace Delora.Tests;

public sealed class KilledRunTests
{
    [Fact]
    public async Task AKilledProcessGoesOnFromItsLastCheckpoint()
    {
        CancellationToken stop = TestContext.Current.CancellationToken;
        string dotnet = Path.GetFullPath(
            Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet"));
        string program = typeof(CliApplication).Assembly.Location;
        Assert.SkipUnless(File.Exists(dotnet), $"there is no {dotnet} to start a process with");
        Assert.SkipUnless(
            File.Exists(Path.ChangeExtension(program, ".runtimeconfig.json")), "the program was built without what it needs to run by itself");

        using TinyModelFolder tiny = new();
        string[] options = ["--save-every", "10", "--steps", "1500"];
        ProcessStartInfo start = new(dotnet) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in (string[])[program, .. tiny.Train("killed", options)])
            start.ArgumentList.Add(argument);
        using (Process process = Process.Start(start)!)
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(stop), error = process.StandardError.ReadToEndAsync(stop);
            while (!Directory.Exists(Path.Combine(tiny.PathOf("killed"), "checkpoint-000020")) && !process.HasExited)
                await Task.Delay(5, stop);
            Assert.False(process.HasExited, process.HasExited ? await output + await error : "");
            await CliRun.Refused("another run is using it", tiny.Train("killed", [.. options, "--resume"]));
            process.Kill();
            await process.WaitForExitAsync(stop);
            Assert.DoesNotContain("Adapter:", await output, StringComparison.Ordinal);
        }

        string rest = await CliRun.Succeeds(tiny.Train("killed", [.. options, "--resume"]));
        Assert.Contains("Newest checkpoint: checkpoint-", rest, StringComparison.Ordinal);
        await CliRun.Succeeds(tiny.Train("whole", options));
        tiny.SameAdapter("whole", "killed");
        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(tiny.PathOf("killed")), x => x.EndsWith(".tmp", StringComparison.Ordinal));
    }
}
