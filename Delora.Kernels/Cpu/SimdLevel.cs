using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Delora.Kernels;

/// <summary>The vector width that the CPU kernels use. Ordered: a wider level is greater.</summary>
public enum SimdLevel
{
    /// <summary>128-bit vectors: Arm NEON, SSE, and every other machine.</summary>
    Vector128 = 128,

    /// <summary>256-bit vectors with fused multiply-add: AVX2 and FMA3.</summary>
    Vector256 = 256,

    /// <summary>512-bit vectors: AVX-512.</summary>
    Vector512 = 512,
}

/// <summary>What this machine's vector units can do.</summary>
public static class Simd
{
    /// <summary>The widest level that runs in hardware here.</summary>
    public static SimdLevel Best { get; } =
        Vector512.IsHardwareAccelerated && Avx512F.IsSupported ? SimdLevel.Vector512
        : Vector256.IsHardwareAccelerated && Fma.IsSupported ? SimdLevel.Vector256
        : SimdLevel.Vector128;

    /// <summary>All levels that run in hardware here, narrowest first. Tests and benchmarks go through them.</summary>
    public static IReadOnlyList<SimdLevel> Available { get; } =
        [.. Enum.GetValues<SimdLevel>().Where(level => level <= Best).Order()];
}
