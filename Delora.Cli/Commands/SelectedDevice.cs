using Delora.Core;
using Delora.Kernels;

namespace Delora.Cli;

/// <summary>The device that a user's <c>--device</c> names.</summary>
internal static class SelectedDevice
{
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
