using Delora.Core;
using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// The matrix product of GPU devices. On a CUDA card it is a text of our own, on tensor cores where <see cref="GpuDevice.MatMulPrecision"/> allows
/// that; on other devices it is ILGPU's kernel. Frozen weights are read as they are kept.
/// </summary>
internal static class GpuMatrixProduct
{
    // The texts count the bytes of a row in 32 bits, with a sign.
    private const int MostPlaces = 1 << 29;

    /// <summary>c = op(a)·op(b) + op(a₂)·op(b₂) + bias + c. With <paramref name="scales"/> b has the codes of a quantized weight, in a batch of one.</summary>
    internal static void Run(
        GpuDevice gpu, MatMulLayout layout, MatMulSize size, Tensor a, Tensor b, Tensor c, Tensor? bias = null, bool accumulate = false,
        ProductBranch? branch = null, WeightScales? scales = null)
    {
        if (RunsText(gpu, size))
        {
            if (branch is { Rank: 0 }) branch = null;
            new CudaProduct(TypeOf(gpu.MatMulPrecision), layout, size, a, b, c, bias, accumulate, branch, scales).Run(gpu);
            return;
        }
        switch (layout)
        {
            case MatMulLayout.NN: Run<LayoutNN>(); break;
            case MatMulLayout.NT: Run<LayoutNT>(); break;
            default: Run<LayoutTN>(); break;
        }

        void Run<TLayout>() where TLayout : struct, IGpuLayout =>
            GpuTiledProduct.Run<TLayout, NoMask>(gpu, size, a, b, branch?.A, branch?.B, branch?.Rank ?? 0, c, bias, accumulate, default, scales);
    }

    /// <summary>c = x̃·bᵀ (NT) for a mask on the left operand, c = aᵀ·x̃ (TN) for one on the right.</summary>
    internal static void RunMasked(GpuDevice gpu, ProductMask side, MatMulSize size, Tensor a, Tensor b, Tensor c, DropoutMask mask)
    {
        if (RunsText(gpu, size))
        {
            MatMulLayout layout = side == ProductMask.Left ? MatMulLayout.NT : MatMulLayout.TN;
            new CudaProduct(TypeOf(gpu.MatMulPrecision), layout, size, a, b, c, Mask: (side, mask)).Run(gpu);
        }
        else if (side == ProductMask.Left) GpuTiledProduct.Run<LayoutNT, LeftMask>(gpu, size, a, b, c, mask: mask);
        else GpuTiledProduct.Run<LayoutTN, RightMask>(gpu, size, a, b, c, mask: mask);
    }

    /// <summary>c = a·b + mask ∘ (a₂·b₂) + c, of which the branch is in float32 whatever the precision.</summary>
    internal static void RunMaskedBranch(
        GpuDevice gpu, MatMulSize size, Tensor a, Tensor b, Tensor c, bool accumulate, ProductBranch branch, WeightScales? scales, DropoutMask mask)
    {
        if (branch.Rank == 0) Run(gpu, MatMulLayout.NN, size, a, b, c, null, accumulate, scales: scales);
        else if (!RunsText(gpu, size))
            GpuTiledProduct.Run<LayoutNN, BranchMask>(gpu, size, a, b, branch.A, branch.B, branch.Rank, c, null, accumulate, mask, scales);
        else if (TypeOf(gpu.MatMulPrecision) is null)
            new CudaProduct(null, MatMulLayout.NN, size, a, b, c, null, accumulate, branch, scales, (ProductMask.Branch, mask)).Run(gpu);
        else
        {
            // On tensor cores threads have too few neighbors of a row for a block of random numbers: the branch alone, over a base of no steps.
            Run(gpu, MatMulLayout.NN, size, a, b, c, null, accumulate, scales: scales);
            new CudaProduct(null, MatMulLayout.NN, size with { K = 0 }, a, branch.B, c, null, true, branch, null, (ProductMask.Branch, mask)).Run(gpu);
        }
    }

    /// <summary>Whether products of the device are texts of our own.</summary>
    internal static bool RunsTexts(GpuDevice gpu) => gpu.Target is { } target && target.ComputeCapability >= FloatProduct.Capability;

    private static bool RunsText(GpuDevice gpu, MatMulSize size) => RunsTexts(gpu) && Math.Max(size.M, Math.Max(size.N, size.K)) < MostPlaces;

    /// <summary>What tensor cores multiply at a precision; null for none.</summary>
    internal static MmaType? TypeOf(MatMulPrecision precision) => precision switch
    {
        MatMulPrecision.TensorFloat32 => MmaType.TensorFloat32,
        MatMulPrecision.BFloat16 => MmaType.BFloat16,
        MatMulPrecision.Float16 => MmaType.Float16,
        _ => null,
    };
}
