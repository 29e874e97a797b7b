using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Euclidean norm of each column: norm_j = ‖W_:,j‖₂. Squares are added up in float64: nothing overflows, and the result is the rounded
/// exact one. Backward: dW_ij = dnorm_j W_ij / norm_j, and 0 for a column of zeros (PyTorch's subgradient of
/// <c>torch.linalg.vector_norm</c>).
/// </summary>
public static partial class ColumnNormKernel
{
    private const string Op = "ColumnNorm";

    /// <summary>norm_j = ‖W_:,j‖₂.</summary>
    /// <param name="w">[out, in]</param>
    /// <param name="norm">Output [in].</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static void Forward(Tensor w, Tensor norm)
    {
        Check.HasRank(Op, w, 2);
        Check.HasShape(Op, norm, [w.Shape[1]]);
        switch (Check.Floats(Op, w, norm))
        {
            case CpuDevice cpu: CpuColumnNorm.Forward(cpu, w, norm); break;
            case GpuDevice gpu: GpuColumnNorm.Forward(gpu, w, norm); break;
            case ReferenceDevice: ReferenceForward(w, norm); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>dW_ij = dnorm_j W_ij / norm_j; 0 where norm_j is 0.</summary>
    /// <param name="w">[out, in]</param>
    /// <param name="norm">[in], the result of the forward pass.</param>
    /// <param name="dNorm">Gradient of the norms, [in].</param>
    /// <param name="dW">Output [out, in].</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static void Backward(Tensor w, Tensor norm, Tensor dNorm, Tensor dW)
    {
        Check.HasRank(Op, w, 2);
        Check.HasShape(Op, norm, [w.Shape[1]]);
        Check.SameShape(Op, norm, dNorm);
        Check.SameShape(Op, w, dW);
        switch (Check.Floats(Op, w, norm, dNorm, dW))
        {
            case CpuDevice cpu: CpuColumnNorm.Backward(cpu, w, norm, dNorm, dW); break;
            case GpuDevice gpu: GpuColumnNorm.Backward(gpu, w, norm, dNorm, dW); break;
            case ReferenceDevice: ReferenceBackward(w, norm, dNorm, dW); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
