using System.Diagnostics;
using Delora.Core;

namespace Delora.Bench;

/// <summary>
/// A process that goes on where this one cannot: after a fault of a kernel, such as an address outside of its memory, CUDA computes nothing more in a
/// process, and what comes after would seem to fail as well.
/// </summary>
internal static class Successor
{
    /// <summary>Whether a device computes nothing more.</summary>
    internal static bool IsNeeded(Device device)
    {
        try
        {
            device.Synchronize();
            return false;
        }
        catch (DeviceException)
        {
            return true;
        }
    }

    /// <summary>Runs this program with other arguments to its end.</summary>
    /// <returns>Its exit code.</returns>
    internal static int Run(params IEnumerable<string> args)
    {
        Console.WriteLine("The device computes nothing more in this process; a new one goes on.");
        string program = Environment.ProcessPath!;
        bool isHost = Path.GetFileNameWithoutExtension(program) == "dotnet";
        using Process process = Process.Start(program, isHost ? [typeof(Successor).Assembly.Location, .. args] : args);
        process.WaitForExit();
        return process.ExitCode;
    }
}
