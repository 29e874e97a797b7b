using System.Globalization;
using Delora.Core;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Backends.OpenCL;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace Delora.Kernels;

/// <summary>Asks the drivers what there is, and starts what is asked for. The only place that knows ILGPU's kinds of devices.</summary>
internal static class DeviceProbe
{
    private static long HostMemory => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    /// <summary>Every device, the ones a user would want first.</summary>
    internal static IReadOnlyList<DeviceInfo> All()
    {
        NativeDrivers.EnsureInstalled();
        return
        [
            .. CudaDevice.GetDevices(_ => true).Cast<CudaDevice>().Select(Describe),
            .. CLDevice.GetDevices(_ => true).Cast<CLDevice>().Select(Describe),
            new DeviceInfo("cpu", DeviceKind.Cpu, CpuDevice.Describe(Environment.ProcessorCount, Simd.Best), HostMemory),
            new DeviceInfo("reference", DeviceKind.Reference, ReferenceDevice.Description, HostMemory,
                Remark: "slow: the specification for tests"),
            new DeviceInfo("simulator", DeviceKind.Simulator, SimulatorName, HostMemory,
                Remark: "very slow: checks GPU kernels without a GPU"),
        ];
    }

    /// <summary>Why there is no device of this kind, as its driver says.</summary>
    internal static string WhyNone(DeviceKind kind)
    {
        NativeDrivers.EnsureInstalled();
        if (kind == DeviceKind.OpenCL)
            return CLAPI.CurrentAPI.IsSupported ? "the OpenCL drivers report no device" : "no OpenCL driver was found (libOpenCL.so.1)";
        if (!CudaAPI.CurrentAPI.IsSupported) return "no CUDA driver was found (libcuda.so.1), or it has no card to drive";
        CudaError error = CudaAPI.CurrentAPI.GetDeviceCount(out int count);
        return error == CudaError.CUDA_SUCCESS
            ? $"the CUDA driver reports {count} devices"
            : $"the CUDA driver says: {CudaAPI.CurrentAPI.GetErrorString(error)}";
    }

    /// <summary>Starts a device.</summary>
    /// <exception cref="DeviceException">It does not start.</exception>
    internal static Device Start(DeviceInfo info)
    {
        try
        {
            int colon = info.Selector.IndexOf(':', StringComparison.Ordinal);
            int index = colon < 0 ? 0 : int.Parse(info.Selector.AsSpan(colon + 1), CultureInfo.InvariantCulture);
            return info.Kind switch
            {
                DeviceKind.Cpu => new CpuDevice(),
                DeviceKind.Reference => new ReferenceDevice(),
                DeviceKind.Simulator => StartSimulator(),
                DeviceKind.Cuda => StartGpu(info,
                    context => ((CudaDevice)CudaDevice.GetDevices(_ => true)[index]).CreateCudaAccelerator(context),
                    (accelerator, stream) => new CudaDriver((CudaAccelerator)accelerator, (CudaStream)stream)),
                _ => StartGpu(info, context => ((CLDevice)CLDevice.GetDevices(_ => true)[index]).CreateCLAccelerator(context), null),
            };
        }
        catch (Exception error) when (error is not DeviceException)
        {
            throw new DeviceException($"{info.Selector} ({info.Name}) does not start: {error.Message}", error);
        }
    }

    internal static GpuDevice StartSimulator()
    {
        NativeDrivers.EnsureInstalled();
        Context context = Context.Create(builder => builder.CPU().EnableAlgorithms().Optimize(OptimizationLevel.O2));
        return new GpuDevice(context, context.CreateCPUAccelerator(0), DeviceKind.Simulator, SimulatorName);
    }

    private const string SimulatorName = "GPU simulator (ILGPU on the CPU)";

    // Each device has a context of its own: one failed compilation spoils all further ones of its context.
    private static GpuDevice StartGpu(
        DeviceInfo info, Func<Context, Accelerator> create, Func<Accelerator, AcceleratorStream, IPtxDriver>? driver)
    {
        // Not builder.Cuda(): under WSL that sets ILGPU's own resolver, and throws because there is one.
        Context context = Context.Create(builder => builder.EnableAlgorithms().Optimize(OptimizationLevel.O2));
        try
        {
            Accelerator accelerator = create(context);
            return new GpuDevice(context, accelerator, info.Kind, info.Name, driver is null ? null : stream => driver(accelerator, stream));
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    private static DeviceInfo Describe(CudaDevice device, int index) =>
        new($"cuda:{index}", DeviceKind.Cuda, device.Name, device.MemorySize,
            Obstacle: device.Architecture is null || device.InstructionSet is null ? "its driver is too old for ILGPU" : null);

    private static DeviceInfo Describe(CLDevice device, int index)
    {
        string? obstacle =
            device.CLStdVersion < CLCVersion.CL20 ? $"OpenCL C {device.CLStdVersion} is older than {CLCVersion.CL20}"
            : !device.Capabilities.GenericAddressSpace ? "it has no generic address space, which ILGPU's OpenCL needs"
            : null;
        bool isGpu = device.DeviceType.HasFlag(CLDeviceType.CL_DEVICE_TYPE_GPU);
        string name = $"{device.Name.Trim()} ({device.PlatformName.Trim()})";
        return new($"opencl:{index}", DeviceKind.OpenCL, name, device.MemorySize, obstacle,
            isGpu ? null : "an OpenCL driver for the processor: the SIMD kernels of cpu are faster");
    }
}
