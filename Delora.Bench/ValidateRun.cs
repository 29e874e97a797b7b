using System.Globalization;
using Delora.Bench.Compare.Gpu;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench;

/// <summary>
/// Every benchmark method of every op on one device against the float64 reference, at odd sizes with poisoned outputs; nothing is timed. After a fault
/// of the device a new process goes on with the next op.
/// </summary>
internal static class ValidateRun
{
    /// <param name="classes">The ops.</param>
    /// <param name="device">Where.</param>
    /// <param name="first">The first of the ops.</param>
    internal static int Run(IReadOnlyList<Type> classes, string device, int first = 0)
    {
        if (GpuRun.Find(device) is not { } info) return GpuRun.NoDevice;
        int failed = 0;
        for (int i = first; i < classes.Count; i++)
            try
            {
                ((OpBenchmarks)Activator.CreateInstance(classes[i])!).Validate(Devices.Get(info.Selector));
            }
            catch (Exception error) when (error is DeloraException or InvalidOperationException)
            {
                failed++;
                Console.WriteLine($"{classes[i].Name}: {error.Message}");
                if (i + 1 == classes.Count || !Successor.IsNeeded(Devices.Get(info.Selector))) continue;
                Console.WriteLine($"{i + 1 - first - failed} ops agree with the reference on {info}, {failed} do not");
                _ = Successor.Run("validate", device, (i + 1).ToString(CultureInfo.InvariantCulture));
                return 1;
            }
        Console.WriteLine($"{classes.Count - first - failed} ops agree with the reference on {info}, {failed} do not");
        return failed == 0 ? 0 : 1;
    }
}
