using Delora.Core;

namespace Delora.Kernels;

/// <summary>The closed end of every kernel's switch over the three kinds of devices.</summary>
internal static class Dispatch
{
    /// <summary>The error for a device that is none of the three kinds.</summary>
    internal static DeviceException Unknown(string op, Device device) =>
        new($"{op}: {device.Name} is a {device.GetType().Name}; kernels exist for CpuDevice, GpuDevice and ReferenceDevice");
}
