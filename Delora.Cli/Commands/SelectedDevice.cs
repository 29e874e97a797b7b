using Delora.Core;
using Delora.Kernels;

namespace Delora.Cli;

/// <summary>The device that a user's <c>--device</c> names.</summary>
internal static class SelectedDevice
{
    /// <summary>The device of that name, started, with that precision of matrix products.</summary>
    /// <exception cref="InputException">There is no such device, it does not start, or it multiplies in float32 only.</exception>
    public static Device Open(string name, MatMulPrecision precision)
    {
        Device device = Open(name);
        try
        {
            if (device is GpuDevice gpu) gpu.MatMulPrecision = precision;
            else if (precision != MatMulPrecision.Float32)
                throw new DeviceException(
                    $"{device.Name} multiplies in float32 only: other precisions are for CUDA cards of compute capability 8.0 or later");
            return device;
        }
        catch (DeviceException e)
        {
            throw new InputException($"--precision {precision.Name}: {e.Message}", e);
        }
    }

    /// <summary>The device of that name, started.</summary>
    /// <exception cref="InputException">There is none, or it does not start: the user asked for what cannot be had.</exception>
    public static Device Open(string name)
    {
        try
        {
            return Devices.Get(name);
        }
        catch (DeviceException e)
        {
            throw new InputException($"--device: {e.Message}", e);
        }
    }
}
