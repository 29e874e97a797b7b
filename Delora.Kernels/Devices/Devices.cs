using Delora.Core;

namespace Delora.Kernels;

/// <summary>The devices of this machine. Each is started on first use and shared by the process.</summary>
public static class Devices
{
    private static readonly Lazy<IReadOnlyList<DeviceInfo>> s_all = new(DeviceProbe.All);
    private static readonly Lock s_lock = new();
    private static readonly Dictionary<string, Device> s_started = [];

    /// <summary>Every device there is, usable or not, found once. Nothing is started, and a missing driver is no error.</summary>
    public static IReadOnlyList<DeviceInfo> All => s_all.Value;

    /// <summary>The SIMD CPU device that the process shares.</summary>
    public static CpuDevice Cpu => (CpuDevice)Get("cpu");

    /// <summary>The float64 reference device that the process shares.</summary>
    public static ReferenceDevice Reference => (ReferenceDevice)Get("reference");

    /// <summary>
    /// The device to use when nobody says: a CUDA card, else an OpenCL GPU, else the CPU. An OpenCL driver for a processor, the reference
    /// device and the simulator are used only on request.
    /// </summary>
    public static DeviceChoice Best() => Best(All, DeviceProbe.WhyNone);

    /// <summary>The device that a user names, started and shared by the process.</summary>
    /// <param name="name">
    /// <c>auto</c> (see <see cref="Best()"/>), <c>cpu</c>, <c>cuda</c> or <c>cuda:1</c>, <c>opencl</c> or <c>opencl:1</c>,
    /// <c>reference</c>, <c>simulator</c>; upper and lower case are the same.
    /// </param>
    /// <exception cref="DeviceException">There is no such device, or it cannot be used; the message lists those there are.</exception>
    public static Device Get(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        DeviceInfo info = Find(name, All, DeviceProbe.WhyNone);
        lock (s_lock)
        {
            if (s_started.TryGetValue(info.Selector, out Device? device) && !device.IsDisposed) return device;
            return s_started[info.Selector] = DeviceProbe.Start(info);
        }
    }

    /// <summary>
    /// A new device on ILGPU's simulator: it runs GPU kernels on the CPU, correctly and very slowly, in groups of at most 16 threads.
    /// </summary>
    public static GpuDevice CreateSimulator() => DeviceProbe.StartSimulator();

    /// <summary>
    /// A device with all properties of another that only counts memory (<see cref="Device.IsPlanning"/>): models, adapters and training steps run on it as
    /// they would there, in a moment and with hardly any memory, and its allocator's statistics are those of the other. The caller disposes it.
    /// </summary>
    /// <param name="like">A CPU device, or one of ILGPU, which must not be disposed before the result.</param>
    /// <exception cref="DeviceException">It is the reference device, whose kernels are plain loops.</exception>
    public static Device Planning(Device like) => like switch
    {
        CpuDevice cpu => CpuDevice.Planning(cpu),
        GpuDevice gpu => GpuDevice.Planning(gpu),
        _ => throw new DeviceException($"{like.Name}: memory can be planned for CPU and GPU devices."),
    };

    /// <summary>The rule of <see cref="Best()"/>, over a given list.</summary>
    internal static DeviceChoice Best(IReadOnlyList<DeviceInfo> all, Func<DeviceKind, string> whyNone)
    {
        string passedOver = "";
        foreach (DeviceKind kind in new[] { DeviceKind.Cuda, DeviceKind.OpenCL })
        {
            DeviceInfo[] ofKind = [.. all.Where(info => info.Kind == kind)];
            DeviceInfo? best = ofKind.FirstOrDefault(info => info.IsUsable && info.Remark is null);
            if (best is not null)
                return new(best, kind == DeviceKind.Cuda ? "a CUDA card comes first" : $"an OpenCL GPU; {passedOver}".TrimEnd(' ', ';'));
            string reason = ofKind.Length == 0
                ? whyNone(kind)
                : string.Join(", ", ofKind.Select(info => $"{info.Selector}: {info.Obstacle ?? info.Remark}"));
            passedOver += $"{(passedOver.Length == 0 ? "" : "; ")}no {Word(kind)} GPU: {reason}";
        }
        return new(all.First(info => info.Kind == DeviceKind.Cpu), passedOver);
    }

    /// <summary>The rule of <see cref="Get"/>, over a given list.</summary>
    internal static DeviceInfo Find(string name, IReadOnlyList<DeviceInfo> all, Func<DeviceKind, string> whyNone)
    {
        string wanted = name.Trim().ToLowerInvariant();
        if (wanted == "auto") return Best(all, whyNone).Info;
        if (all.FirstOrDefault(info => info.Selector == Canonical(wanted)) is not { } found)
        {
            DeviceKind? kind = wanted.Split(':')[0] switch { "cuda" => DeviceKind.Cuda, "opencl" => DeviceKind.OpenCL, _ => null };
            string why =
                kind is null ? "known are auto, cpu, cuda, cuda:N, opencl, opencl:N, reference and simulator"
                : all.Any(info => info.Kind == kind) ? "there are others of its kind only"
                : whyNone(kind.Value);
            throw new DeviceException($"There is no device '{name}': {why}. {Listed(all)}");
        }
        if (!found.IsUsable)
            throw new DeviceException($"The device '{name}' ({found.Name}) cannot be used: {found.Obstacle}. {Listed(all)}");
        return found;
    }

    /// <summary><c>cuda</c> is the first CUDA card; <c>cuda:01</c> is none.</summary>
    private static string Canonical(string wanted) => wanted is "cuda" or "opencl" ? wanted + ":0" : wanted;

    private static string Word(DeviceKind kind) => kind == DeviceKind.Cuda ? "CUDA" : "OpenCL";

    private static string Listed(IReadOnlyList<DeviceInfo> all) => $"Devices of this machine: {string.Join("; ", all)}";
}
