using System.Collections.Concurrent;
using System.Reflection;
using Delora.Core;
using ILGPU;
using ILGPU.Backends;
using ILGPU.Backends.EntryPoints;
using ILGPU.Runtime;

namespace Delora.Kernels;

/// <summary>
/// Compiling and launching kernels with ILGPU (OpenCL, simulator). Loading one takes ILGPU 10–19 µs even when it is compiled, so the launcher of each
/// kernel method is kept. A launch over nothing does nothing (ILGPU throws).
/// </summary>
public sealed partial class GpuDevice
{
    private readonly ConcurrentDictionary<MethodInfo, Lazy<Delegate>> _launchers = [];

    // One lock for compiling and launching: OpenCL keeps a kernel's arguments in the kernel, not in the launch.
    private readonly Lock _lock = new();

    // A method, or the name of a text of one's own.
    private object? _lastKernel;
    private string? _spoiledBy;

    /// <summary>Runs a kernel once per index, with its arguments in a tuple.</summary>
    private void Run<TLauncher, TArguments>(
        MethodInfo kernel, long count, TArguments arguments, Action<TLauncher, AcceleratorStream, Index1D, TArguments> launch)
        where TLauncher : Delegate where TArguments : struct
    {
        if (IsNothing(count)) return;
        if (_ptx is not null)
        {
            RunPtx(kernel, count, ref arguments);
            return;
        }
        TLauncher launcher = Launcher<TLauncher>(kernel, grouped: false);
        try
        {
            lock (_lock) launch(launcher, _stream, checked((int)count), arguments);
        }
        catch (Exception error)
        {
            throw LaunchError(KernelName(kernel), Describe(count), error);
        }
        _lastKernel = kernel;
    }

    /// <summary>Runs a kernel in groups, with its arguments in a tuple.</summary>
    private void RunGroups<TLauncher, TArguments>(
        MethodInfo kernel, KernelConfig config, TArguments arguments, Action<TLauncher, AcceleratorStream, KernelConfig, TArguments> launch)
        where TLauncher : Delegate where TArguments : struct
    {
        if (IsNothing(config.Size)) return;
        if (_ptx is not null)
        {
            RunPtxGroups(kernel, config, ref arguments);
            return;
        }
        TLauncher launcher = Launcher<TLauncher>(kernel, grouped: true);
        try
        {
            lock (_lock) launch(launcher, _stream, config, arguments);
        }
        catch (Exception error)
        {
            throw LaunchError(KernelName(kernel), Describe(config), error);
        }
        _lastKernel = kernel;
    }

    private TLauncher Launcher<TLauncher>(MethodInfo kernel, bool grouped) where TLauncher : Delegate =>
        (TLauncher)_launchers.GetOrAdd(
            kernel, (method, inGroups) => new Lazy<Delegate>(() => Load<TLauncher>(method, inGroups)), grouped).Value;

    private TLauncher Load<TLauncher>(MethodInfo kernel, bool grouped) where TLauncher : Delegate
    {
        lock (_lock)
        {
            if (_spoiledBy is not null)
                throw new DeviceException(
                    $"{Name} cannot compile the kernel {KernelName(kernel)}: ILGPU compiles nothing more in a context where "
                    + $"{_spoiledBy} failed to compile. Kernels that were compiled before still run; start the device anew for others.");
            CompiledKernel compiled = Compile(kernel, grouped);
            try
            {
                Kernel loaded = grouped ? Accelerator.LoadKernel(compiled) : Accelerator.LoadAutoGroupedKernel(compiled);
                return loaded.CreateLauncherDelegate<TLauncher>();
            }
            catch (Exception error)
            {
                throw new DeviceException($"{Name}: the driver refuses the kernel {KernelName(kernel)}: {Innermost(error)}", error);
            }
        }
    }

    private CompiledKernel Compile(MethodInfo kernel, bool grouped)
    {
        try
        {
            EntryPointDescription entry = grouped
                ? EntryPointDescription.FromExplicitlyGroupedKernel(kernel)
                : EntryPointDescription.FromImplicitlyGroupedKernel(kernel);
            CompiledKernel compiled = Accelerator.CompileKernel(entry, KernelSpecialization.Empty);
            OpenClRepair.Apply(compiled);
            return compiled;
        }
        catch (Exception error)
        {
            _spoiledBy = KernelName(kernel);
            throw new DeviceException($"{Name}: the kernel {KernelName(kernel)} does not compile: {Innermost(error)}", error);
        }
    }

    /// <summary>The kernel as a reader of the code knows it, for instance <c>GpuMap.UnaryKernel&lt;ForwardOp&gt;</c>.</summary>
    internal static string KernelName(MethodInfo kernel)
    {
        string arguments = kernel.IsGenericMethod ? $"<{string.Join(", ", kernel.GetGenericArguments().Select(type => type.Name))}>" : "";
        return $"{kernel.DeclaringType?.Name}.{kernel.Name}{arguments}";
    }

    /// <summary>Whether a launch over so many threads does nothing.</summary>
    private bool IsNothing(long threads) => threads == 0 || IsPlanning;

    private static string Describe(long count) => $"{count} threads";

    private static string Describe(KernelConfig config) => $"{config.GridDim.Size} groups of {config.GroupDim.Size} threads";

    private DeviceException LaunchError(string kernel, string launch, Exception error) =>
        // A fault of an earlier kernel shows itself at the next call, whichever that is.
        new($"{Name}: the kernel {kernel} did not start over {launch}: {Innermost(error)}{LastLaunched}", error);

    private string LastLaunched =>
        (_lastKernel is MethodInfo method ? KernelName(method) : _lastKernel) is { } kernel ? $"; the last kernel that was launched is {kernel}" : "";

    /// <summary>
    /// Runs an operation of the driver. Kernels run later than they are launched, so their failures show themselves here.
    /// </summary>
    internal void Guarded(string what, Action operation)
    {
        try
        {
            operation();
        }
        catch (Exception error)
        {
            throw Failed(what, error);
        }
    }

    private DeviceException Failed(string what, Exception error) => new($"{Name}: {what} failed: {Innermost(error)}{LastLaunched}", error);

    private static string Innermost(Exception error)
    {
        while (error.InnerException is { } inner) error = inner;
        return $"{error.GetType().Name}: {error.Message}";
    }
}
