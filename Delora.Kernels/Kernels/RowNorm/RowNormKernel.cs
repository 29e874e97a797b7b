using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Euclidean norm of each row: norm_i = ‖A_i,:‖₂. Squares are added up in float64: nothing overflows, and the result is the rounded exact
/// one. Backward: dA_ij = dnorm_i A_ij / norm_i, and 0 for a row of zeros (PyTorch's subgradient of <c>torch.linalg.vector_norm</c>).
/// </summary>
public static partial class RowNormKernel
{
    private const string Op = "RowNorm";

    /// <summary>norm_i = ‖A_i,:‖₂.</summary>
    /// <param name="a">[rows, cols]</param>
    /// <param name="norm">Output [rows].</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static void Forward(Tensor a, Tensor norm)
    {
        Check.HasRank(Op, a, 2);
        Check.HasShape(Op, norm, [a.Shape[0]]);
        switch (Check.Floats(Op, a, norm))
        {
            case CpuDevice cpu: CpuRowNorm.Forward(cpu, a, norm); break;
            case GpuDevice gpu: GpuRowNorm.Forward(gpu, a, norm); break;
            case ReferenceDevice: ReferenceForward(a, norm); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>dA_ij = dnorm_i A_ij / norm_i; 0 where norm_i is 0.</summary>
    /// <param name="a">[rows, cols]</param>
    /// <param name="norm">[rows], the result of the forward pass.</param>
    /// <param name="dNorm">Gradient of the norms, [rows].</param>
    /// <param name="dA">Output [rows, cols].</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static void Backward(Tensor a, Tensor norm, Tensor dNorm, Tensor dA)
    {
        Check.HasRank(Op, a, 2);
        Check.HasShape(Op, norm, [a.Shape[0]]);
        Check.SameShape(Op, norm, dNorm);
        Check.SameShape(Op, a, dA);
        switch (Check.Floats(Op, a, norm, dNorm, dA))
        {
            case CpuDevice cpu: CpuRowNorm.Backward(cpu, a, norm, dNorm, dA); break;
            case GpuDevice gpu: GpuRowNorm.Backward(gpu, a, norm, dNorm, dA); break;
            case ReferenceDevice: ReferenceBackward(a, norm, dNorm, dA); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
