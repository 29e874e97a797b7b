using Delora.Core;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime.CPU;

namespace Delora.Kernels;

/// <summary>The devices of this machine.</summary>
public static class Devices
{
    private static readonly Lazy<CpuDevice> s_cpu = new(() => new CpuDevice());
    private static readonly Lazy<ReferenceDevice> s_reference = new(() => new ReferenceDevice());

    /// <summary>The SIMD CPU device that the process shares.</summary>
    public static CpuDevice Cpu => s_cpu.Value;

    /// <summary>The float64 reference device that the process shares.</summary>
    public static ReferenceDevice Reference => s_reference.Value;

    /// <summary>A new device on ILGPU's simulator: it runs GPU kernels on the CPU, correctly and very slowly, in groups of at most 16 threads.</summary>
    public static GpuDevice CreateSimulator()
    {
        var context = Context.Create(builder => builder.CPU().EnableAlgorithms().Optimize(OptimizationLevel.O2));
        return new GpuDevice(context, context.CreateCPUAccelerator(0), "GPU simulator (ILGPU on the CPU)");
    }
}
