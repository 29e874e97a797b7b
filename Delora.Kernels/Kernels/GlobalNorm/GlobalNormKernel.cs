using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Euclidean norm over all elements of all tensors: norm = √Σ g², as <c>torch.nn.utils.clip_grad_norm_</c> computes it. Accumulated in
/// float64 in a fixed order: nothing overflows, and the result does not depend on the number of threads. It stays on the device: nobody
/// waits for it.
/// </summary>
[NoDerivative("it measures gradients, which have none of their own here")]
public static partial class GlobalNormKernel
{
    private const string Op = "GlobalNorm";

    /// <summary>norm = √Σ g² over all tensors; 0 over none.</summary>
    /// <param name="norm">Output [1].</param>
    /// <param name="tensors">Any shapes, for instance the one flat gradient buffer.</param>
    /// <exception cref="ShapeException">norm is not [1].</exception>
    public static void Forward(Tensor norm, params ReadOnlySpan<Tensor> tensors)
    {
        Check.HasShape(Op, norm, [1]);
        foreach (Tensor tensor in tensors) Check.Floats(Op, norm, tensor);
        switch (Check.Floats(Op, norm))
        {
            case CpuDevice cpu: CpuGlobalNorm.Forward(cpu, tensors, norm); break;
            case GpuDevice gpu: GpuGlobalNorm.Forward(gpu, tensors, norm); break;
            case ReferenceDevice: ReferenceForward(tensors, norm); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
