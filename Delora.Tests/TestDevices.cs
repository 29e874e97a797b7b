using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests;

/// <summary>The devices that theories run on. One instance of each for the whole run: making a context takes long.</summary>
public static class TestDevices
{
    private static readonly Dictionary<string, Lazy<Device>> s_devices = new()
    {
        ["cpu"] = new(() => Devices.Cpu),
        ["simulator"] = new(Devices.CreateSimulator),
    };

    static TestDevices()
    {
        // Real drivers where there are any; DevicesTests says why one is missing.
        foreach (string kind in new[] { "cuda", "opencl" })
            if (Devices.All.Any(info => info.Selector == kind + ":0" && info.IsUsable)) s_devices.Add(kind, new(() => Devices.Get(kind)));
    }

    /// <summary>Names of the devices whose results are compared with the reference device.</summary>
    public static TheoryData<string> Names => [.. s_devices.Keys];

    /// <summary>The device of that name; poisons what it allocates.</summary>
    public static Device Get(string name)
    {
        Device device = s_devices[name].Value;
        device.Memory.PoisonNewAllocations = true;
        return device;
    }
}
