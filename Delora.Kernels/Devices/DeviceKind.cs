namespace Delora.Kernels;

/// <summary>The kinds of devices, by what runs on them.</summary>
public enum DeviceKind
{
    /// <summary>The SIMD kernels on the processor's cores.</summary>
    Cpu,

    /// <summary>A CUDA card.</summary>
    Cuda,

    /// <summary>An OpenCL device: a GPU, or a processor through a driver such as PoCL.</summary>
    OpenCL,

    /// <summary>Plain float64 loops: the specification.</summary>
    Reference,

    /// <summary>ILGPU's simulator: GPU kernels on the CPU, correct and very slow.</summary>
    Simulator,
}
