using Delora.Core;

namespace Delora.Kernels;

public static partial class ClipScaleKernel
{
    private static void ReferenceForward(Tensor norm, float maxNorm, Tensor scale) =>
        scale.Span<double>()[0] = Math.Min(1, maxNorm / (norm.Span<double>()[0] + 1e-6));
}
