using Delora.Bench.Compare.Gpu;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench;

/// <summary>Every benchmark method of every op on one device against the float64 reference, at odd sizes with poisoned outputs; nothing is timed.</summary>
internal static class ValidateRun
{
    internal static int Run(IReadOnlyList<Type> classes, string device)
    {
        if (GpuRun.Find(device) is not { } info) return GpuRun.NoDevice;
        int failed = 0;
        foreach (Type type in classes)
            try
            {
                ((OpBenchmarks)Activator.CreateInstance(type)!).Validate(Devices.Get(info.Selector));
            }
            catch (Exception error) when (error is DeloraException or InvalidOperationException)
            {
                failed++;
                Console.WriteLine($"{type.Name}: {error.Message}");
            }
        Console.WriteLine($"{classes.Count - failed} ops agree with the reference on {info}, {failed} do not");
        return failed == 0 ? 0 : 1;
    }
}
