using Delora.Core;

namespace Delora.Kernels;

/// <summary>The CPU implementation of <see cref="ClipScaleKernel"/>: one number.</summary>
internal static unsafe class CpuClipScale
{
    internal static void Forward(Tensor norm, float maxNorm, Tensor scale) =>
        *scale.Pointer<float>() = ClipScaleKernel.Scale(*norm.Pointer<float>(), maxNorm);
}
