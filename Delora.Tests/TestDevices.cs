using Delora.Core;
using Delora.Kernels;
using Delora.Tests.Ptx;

namespace Delora.Tests;

/// <summary>
/// The devices that theories run on. One instance of each for the whole run: making a context takes long. What this machine lacks stands
/// in the lists as a row that is skipped and says why. Every row has the trait <c>Device</c>: <c>--filter-trait Device=cuda</c> runs what a card computes
/// and nothing else. <c>DELORA_TEST_DEVICES=cuda,reference</c> leaves out all other devices, also in tests that go through them in a loop.
/// </summary>
public static class TestDevices
{
    private static readonly Dictionary<string, Lazy<Device>> s_devices = [];
    private static readonly List<string> s_names = [];
    private static readonly Dictionary<string, string> s_absent = [];

    /// <summary>The variable that names the devices to test on; all of them where it is not set.</summary>
    private const string Variable = "DELORA_TEST_DEVICES";

    private static readonly string[]? s_wanted =
        Environment.GetEnvironmentVariable(Variable)?.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    static TestDevices()
    {
        Add("reference", () => Devices.Reference);
        Add("cpu", () => Devices.Cpu);
        Add("cpu, 1 thread", () => Cpu(1, Simd.Best));
        foreach (SimdLevel level in Enum.GetValues<SimdLevel>().Where(level => level != Simd.Best).OrderDescending())
            if (Simd.Available.Contains(level)) Add($"cpu, {(int)level}-bit", () => Cpu(2, level));
            else s_absent.Add($"cpu, {(int)level}-bit", $"the processor has no {(int)level}-bit vectors");
        Add("simulator", Devices.CreateSimulator);
        Add("interpreter", () => InterpretedDevice.Start(PtxMachineDriver.Hopper, "interpreter"));
        foreach ((string name, DeviceKind kind) in ((string, DeviceKind)[])[("opencl", DeviceKind.OpenCL), ("cuda", DeviceKind.Cuda)])
        {
            DeviceInfo? first = Devices.All.FirstOrDefault(info => info.Selector == name + ":0");
            if (first is { IsUsable: true }) Add(name, () => Devices.Get(name));
            else s_absent.Add(name, first?.ToString() ?? DeviceProbe.WhyNone(kind));
        }
    }

    /// <summary>Names of the devices whose results are compared with the reference device.</summary>
    public static TheoryData<string> Names => Rows(name => name != "reference");

    /// <summary>Names of all devices, the reference device included.</summary>
    public static TheoryData<string> AllNames => Rows(_ => true);

    /// <summary>Names of the CPU devices: every vector width, one thread and several.</summary>
    public static TheoryData<string> CpuNames => Rows(name => name.StartsWith("cpu", StringComparison.Ordinal));

    /// <summary>Names of the devices that run ILGPU kernels.</summary>
    public static TheoryData<string> GpuNames => Rows(name => name is "simulator" or "interpreter" or "opencl" or "cuda");

    /// <summary>Names of the devices that run PTX.</summary>
    public static TheoryData<string> CudaNames => Rows(name => name is "interpreter" or "cuda");

    /// <summary>A row for each device and value, skipped and with the trait as the device's row is.</summary>
    public static TheoryData<string, T> With<T>(this TheoryData<string> devices, params IEnumerable<T> values)
    {
        var rows = new TheoryData<string, T>();
        foreach (TheoryDataRow<string> device in devices)
            foreach (T value in values) rows.Add(new TheoryDataRow<string, T>(device.Data, value) { Skip = device.Skip, Traits = { ["Device"] = [device.Data] } });
        return rows;
    }

    /// <summary>The devices that have been started so far: what the leak check looks at.</summary>
    internal static IReadOnlyList<Device> Started
    {
        get { lock (s_devices) return [.. s_devices.Values.Where(device => device.IsValueCreated).Select(device => device.Value)]; }
    }

    /// <summary>The device of that name; poisons what it allocates.</summary>
    public static Device Get(string name)
    {
        Lazy<Device> device;
        lock (s_devices) device = s_devices[name];
        device.Value.Memory.PoisonNewAllocations = true;
        return device.Value;
    }

    /// <summary>A CPU device of so many threads and that vector width; the same one each time.</summary>
    public static CpuDevice Cpu(int threads, SimdLevel level)
    {
        string name = $"cpu {threads} {level}";
        lock (s_devices) s_devices.TryAdd(name, new(() => new CpuDevice(threads, level)));
        return (CpuDevice)Get(name);
    }

    private static void Add(string name, Func<Device> start)
    {
        s_devices.Add(name, new(start));
        if (s_wanted?.Contains(name.Split(',')[0]) ?? true) s_names.Add(name);
        else s_absent.Add(name, $"left out by {Variable}");
    }

    private static TheoryData<string> Rows(Func<string, bool> which)
    {
        var rows = new TheoryData<string>();
        // Devices made by Cpu(threads, level) are not rows: whether they exist depends on the order of the tests.
        foreach (string name in s_names.Where(which)) rows.Add(Row(name));
        foreach ((string name, string reason) in s_absent.Where(pair => which(pair.Key)))
        {
            TheoryDataRow<string> row = Row(name);
            row.Skip = $"{name}: {reason}";
            rows.Add(row);
        }
        return rows;
    }

    private static TheoryDataRow<string> Row(string name) => new(name) { Traits = { ["Device"] = [name] } };
}
