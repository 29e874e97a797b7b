using System.Collections.Concurrent;
using System.Reflection;
using Delora.Core;
using ILGPU;
using ILGPU.Runtime;

namespace Delora.Kernels;

/// <summary>
/// Compiling and launching kernels on CUDA: the text is ours from the compiler to the driver, so that it can be repaired, names the instructions of the
/// card, gets more shared memory than 48 KiB, and is recorded into graphs. Texts of one's own are launched the same way.
/// </summary>
public sealed partial class GpuDevice
{
    // Threads of a group of a kernel that runs once per index, where it allows so many.
    private const int IndexGroupSize = 256;

    private readonly ConcurrentDictionary<object, Lazy<PtxKernel>> _ptxKernels = [];
    private readonly ConcurrentBag<IPtxModule> _ptxModules = [];

    /// <summary>The kernels that have been loaded on CUDA, and what the assembler made of them: registers, and local memory, which should be none.</summary>
    internal IReadOnlyList<PtxKernel> LoadedKernels =>
        [.. _ptxKernels.Values.Where(kernel => kernel.IsValueCreated).Select(kernel => kernel.Value).OrderBy(kernel => kernel.Name, StringComparer.Ordinal)];

    /// <summary>
    /// Kernels that have been loaded on CUDA and whose threads keep numbers in local memory, because the assembler found no registers for them: each is
    /// slower than it was meant to be.
    /// </summary>
    public IReadOnlyList<string> SpillingKernels =>
        [.. LoadedKernels.Where(kernel => kernel.Info.LocalBytes > 0).Select(kernel => $"{kernel.Name}: {kernel.Info.LocalBytes} bytes of local memory")];

    /// <summary>The address of a tensor's first element.</summary>
    internal nint Address(Tensor tensor)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        // Only its alignment is asked for; blocks begin at multiples of 256.
        if (IsPlanning) return checked((nint)(tensor.Offset * tensor.DType.Size));
        return Address(Bytes(tensor));
    }

    /// <summary>The bytes of a tensor.</summary>
    internal ArrayView<byte> Bytes(Tensor tensor) => Slice(tensor.Block, tensor.Offset * tensor.DType.Size, tensor.ByteLength);

    /// <summary>Keeps the stream to this thread meanwhile.</summary>
    internal void Exclusively(Action work)
    {
        lock (_lock) work();
    }

    /// <summary>What errors from now on say was launched last.</summary>
    internal void HasLaunched(string what) => _lastKernel = what;

    /// <summary>A kernel from a PTX text of one's own, assembled and loaded once.</summary>
    /// <param name="key">Its name: the same key is the same kernel, so that variants have keys of their own.</param>
    /// <param name="text">Makes the whole text for a card; see <see cref="PtxTarget.Header"/>.</param>
    /// <param name="entry">The entry; null where the text has only one.</param>
    /// <exception cref="DeviceException">This is no CUDA device, or the text does not assemble: the message has the assembler's log.</exception>
    internal PtxKernel LoadPtx(string key, Func<PtxTarget, string> text, string? entry = null)
    {
        if (IsPlanning && Target is not null) return PtxKernel.Planned;
        if (_ptx is null) throw new DeviceException($"{Name} runs no PTX: {key} is for CUDA cards");
        RefuseToLoad(key, key);
        return _ptxKernels.GetOrAdd(key, _ => new(() => LoadPtxText(key, entry, () => text(_ptx.Target)))).Value;
    }

    /// <summary>What a kernel is given of matrices whose tiles it copies.</summary>
    /// <exception cref="DeviceException">This is no CUDA device, or the matrices lie as such copies cannot read them.</exception>
    internal TensorMap MakeTensorMap(TensorTiles tiles)
    {
        if (IsPlanning) return default;
        if (_ptx is null) throw new DeviceException($"{Name} runs no PTX: tensor maps are for CUDA cards");
        lock (_lock) return _ptx.MakeTensorMap(tiles);
    }

    /// <summary>Launches a kernel of <see cref="LoadPtx"/>; over no groups it does nothing, which the driver would refuse.</summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="launch">Groups, threads and shared memory.</param>
    /// <param name="arguments">
    /// A tuple of its parameters, in order: numbers, addresses (<see cref="Address(Tensor)"/>), views (an address and a 64-bit count), structs of these.
    /// </param>
    /// <exception cref="DeviceException">The parameters are not those that the text declares, or the driver refuses the launch.</exception>
    internal void LaunchPtx<TArguments>(PtxKernel kernel, PtxLaunch launch, TArguments arguments) where TArguments : struct
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        if (IsNothing((long)launch.GridX * launch.GridY * launch.GridZ)) return;
        try
        {
            lock (_lock) kernel.Launch(launch, ref arguments);
        }
        catch (Exception error)
        {
            throw LaunchError(kernel.Name, launch.ToString(), error);
        }
        _lastKernel = kernel.Name;
    }

    private void RunPtx<TArguments>(MethodInfo method, long count, ref TArguments arguments) where TArguments : struct
    {
        PtxKernel kernel = Ptx(method, grouped: false);
        try
        {
            int threads = checked((int)count), group = Math.Min(IndexGroupSize, kernel.Info.MaxThreads);
            var launch = new PtxLaunch((int)((count + group - 1) / group), 1, 1, group, 1, 1, 0);
            lock (_lock) kernel.Launch(launch, threads, ref arguments);
        }
        catch (Exception error)
        {
            throw LaunchError(kernel.Name, Describe(count), error);
        }
        _lastKernel = method;
    }

    private void RunPtxGroups<TArguments>(MethodInfo method, KernelConfig config, ref TArguments arguments) where TArguments : struct
    {
        PtxKernel kernel = Ptx(method, grouped: true);
        try
        {
            SharedMemoryConfig shared = config.SharedMemoryConfig;
            var launch = new PtxLaunch(
                config.GridDim.X, config.GridDim.Y, config.GridDim.Z, config.GroupDim.X, config.GroupDim.Y, config.GroupDim.Z,
                shared.UsesDynamicSharedMemory ? checked(shared.NumElements * shared.ElementSize) : 0);
            if (config.GroupDim.Size > kernel.Info.MaxThreads) throw new DeviceException($"a group may have {kernel.Info.MaxThreads} threads");
            lock (_lock) kernel.Launch(launch, ref arguments);
        }
        catch (Exception error)
        {
            throw LaunchError(kernel.Name, Describe(config), error);
        }
        _lastKernel = method;
    }

    private PtxKernel Ptx(MethodInfo method, bool grouped)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        RefuseToLoad(method, null);
        return _ptxKernels.GetOrAdd(
            method, static (key, of) => new(() => of.Device.CompilePtx((MethodInfo)key, of.Grouped)), (Device: this, Grouped: grouped)).Value;
    }

    private PtxKernel CompilePtx(MethodInfo method, bool grouped)
    {
        string name = KernelName(method);
        return LoadPtxText(name, null, () =>
        {
            try
            {
                return _compiler!.Compile(method, grouped);
            }
            catch (Exception error)
            {
                throw new DeviceException($"{Name}: the kernel {name} does not compile: {Innermost(error)}", error);
            }
        });
    }

    private PtxKernel LoadPtxText(string name, string? entry, Func<string> text)
    {
        lock (_lock)
        {
            string ptx = text();
            try
            {
                PtxSignature signature = PtxSignature.Read(ptx, entry);
                IPtxModule module = _ptx!.Load(name, ptx);
                _ptxModules.Add(module);
                return new PtxKernel(name, module.GetFunction(signature), signature);
            }
            catch (Exception error)
            {
                throw new DeviceException($"{Name}: the driver refuses the kernel {name}: {Innermost(error)}", error);
            }
        }
    }

    /// <summary>Loading may allocate and wait, which a recording must not; the rehearsal has loaded all kernels.</summary>
    private void RefuseToLoad(object key, string? name)
    {
        if (GpuGraph.Recording(this) is not { } graph) return;
        if (!_ptxKernels.TryGetValue(key, out Lazy<PtxKernel>? kernel) || !kernel.IsValueCreated)
            throw graph.Refuse($"it needs the kernel {name ?? KernelName((MethodInfo)key)}, which it did not need before");
    }

    private static nint Address(ArrayView<byte> view) => view.LoadEffectiveAddressAsPtr();

    private void DisposePtx()
    {
        if (_ptx is null) return;
        DisposeTransfers();
        foreach (IPtxModule module in _ptxModules) module.Dispose();
        _ptx.Dispose();
        _compiler!.Dispose();
    }
}
