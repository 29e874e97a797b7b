using System.Globalization;

namespace Delora.Kernels;

/// <summary>One device of this machine, found without starting it.</summary>
/// <param name="Selector">The word that <see cref="Devices.Get"/> takes for it: <c>cpu</c>, <c>cuda:0</c>, <c>opencl:1</c>, …</param>
/// <param name="Kind">What runs on it.</param>
/// <param name="Name">What a person would call it, for instance <c>NVIDIA H200</c>.</param>
/// <param name="MemoryBytes">Its memory; for the kinds that compute on the host, what the process may use of it.</param>
/// <param name="Obstacle">Why it cannot be used; null where it can.</param>
/// <param name="Remark">Why it is never chosen without being asked for; null where it may be.</param>
public sealed record DeviceInfo(
    string Selector, DeviceKind Kind, string Name, long MemoryBytes, string? Obstacle = null, string? Remark = null)
{
    /// <summary>Whether kernels can run on it.</summary>
    public bool IsUsable => Obstacle is null;

    /// <summary>For instance <c>cuda:0: NVIDIA H200, 139.7 GiB</c>.</summary>
    public override string ToString()
    {
        string memory = (MemoryBytes / (double)(1L << 30)).ToString("F1", CultureInfo.InvariantCulture);
        return $"{Selector}: {Name}, {memory} GiB{(Obstacle is null ? "" : $" (not usable: {Obstacle})")}";
    }
}

/// <summary>The device that <see cref="Devices.Best()"/> picks, and why.</summary>
/// <param name="Info">The device.</param>
/// <param name="Reason">Why this one, in words.</param>
public sealed record DeviceChoice(DeviceInfo Info, string Reason)
{
    /// <summary>The device, started on first use and shared by the process.</summary>
    /// <exception cref="Core.DeviceException">It does not start.</exception>
    public Device Device => Devices.Get(Info.Selector);
}
