using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The factor that shortens gradients to a largest norm: scale = min(1, max_norm / (norm + 1e-6)), as
/// <c>torch.nn.utils.clip_grad_norm_</c> computes it. It stays on the device, where the optimizers read it. NaN gives NaN, an infinite
/// norm 0.
/// </summary>
[NoDerivative("it scales gradients, which have none of their own here")]
public static partial class ClipScaleKernel
{
    private const string Op = "ClipScale";
    private const float Epsilon = 1e-6f;

    /// <summary>scale = min(1, max_norm / (norm + 1e-6)).</summary>
    /// <param name="norm">[1], for instance from <see cref="GlobalNormKernel"/>.</param>
    /// <param name="maxNorm">Largest norm, above 0.</param>
    /// <param name="scale">Output [1]; may be norm itself.</param>
    /// <exception cref="ShapeException">A tensor is not [1].</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="maxNorm"/> is not a positive number.</exception>
    public static void Forward(Tensor norm, float maxNorm, Tensor scale)
    {
        if (!(maxNorm > 0)) throw new ArgumentOutOfRangeException(nameof(maxNorm), maxNorm, $"{Op}: the largest norm must be above 0");
        Check.HasShape(Op, norm, [1]);
        Check.HasShape(Op, scale, [1]);
        switch (Check.Floats(Op, norm, scale))
        {
            case CpuDevice: CpuClipScale.Forward(norm, maxNorm, scale); break;
            case GpuDevice gpu: GpuClipScale.Forward(gpu, norm, maxNorm, scale); break;
            case ReferenceDevice: ReferenceForward(norm, maxNorm, scale); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>The formula in float32, for the CPU and for GPU kernels; NaN fails the comparison and passes.</summary>
    internal static float Scale(float norm, float maxNorm)
    {
        float scale = maxNorm / (norm + Epsilon);
        return scale > 1f ? 1f : scale;
    }
}
