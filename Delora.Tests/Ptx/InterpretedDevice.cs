using System.Reflection;
using Delora.Kernels;
using ILGPU.Runtime;

namespace Delora.Tests.Ptx;

/// <summary>A device of the kind CUDA that the interpreter runs, on the memory of ILGPU's accelerator for the host.</summary>
internal static class InterpretedDevice
{
    private static readonly MethodInfo s_forEach = typeof(Accelerator)
        .GetMethods(BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public).Single(method => method.Name == "ForEachChildObject")
        .MakeGenericMethod(typeof(MemoryBuffer));

    private static readonly MethodInfo s_count = typeof(Accelerator)
        .GetMethod("get_NumberChildObjects", BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public)!;

    /// <summary>Starts one.</summary>
    /// <param name="target">The card that it is.</param>
    /// <param name="name">Its name.</param>
    /// <param name="options">How the interpreter works.</param>
    /// <param name="around">Puts something around the driver.</param>
    internal static GpuDevice Start(PtxTarget target, string name, PtxOptions? options = null, Func<IPtxDriver, IPtxDriver>? around = null)
    {
        GpuDevice? device = null;
        var driver = new PtxMachineDriver(
            target, () => device is null ? [] : Allocations(device.Accelerator), () => device is null ? 0 : Version(device), options);
        return device = GpuDevice.Interpreting(around?.Invoke(driver) ?? driver, name);
    }

    /// <summary>Grows with every buffer that is made, and changes when one is disposed.</summary>
    private static long Version(GpuDevice device) =>
        (device.Memory.Statistics.SystemAllocations << 32) + (int)s_count.Invoke(device.Accelerator, null)!;

    /// <summary>Every buffer of an accelerator that is alive.</summary>
    private static List<PtxRange> Allocations(Accelerator accelerator)
    {
        var ranges = new List<PtxRange>();
        Action<MemoryBuffer> add = buffer =>
        {
            if (!buffer.IsDisposed) ranges.Add(new((ulong)buffer.NativePtr, (ulong)buffer.NativePtr + (ulong)buffer.LengthInBytes));
        };
        s_forEach.Invoke(accelerator, [add]);
        return ranges;
    }
}
