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

    /// <summary>
    /// c = f(op(a)·op(b) + op(a₂)·op(b₂) + bias) + residual, or + c. With <paramref name="scales"/> b has the codes of a quantized weight, in a batch of one.
    /// </summary>
    internal static void Run(
        GpuDevice gpu, MatMulLayout layout, MatMulSize size, Tensor a, Tensor b, Tensor c, Tensor? bias = null, bool accumulate = false,
        ProductBranch? branch = null, WeightScales? scales = null, Epilogue epilogue = default)
    {
        if (RunsText(gpu, size))
        {
            if (branch is { Rank: 0 }) branch = null;
            new CudaProduct(TypeOf(gpu.MatMulPrecision), layout, size, a, b, c, bias, accumulate, branch, scales, null, epilogue).Run(gpu);
            return;
        }
        // The product of linear layers makes f(z) itself; for the other layouts that would be a kernel more for each tile and activation.
        bool afterwards = layout != MatMulLayout.NT && epilogue.Activation != ActivationKind.None;
        Tensor output = afterwards ? epilogue.ProductIn(c) : c;
        Tensor? before = accumulate ? c : afterwards ? null : epilogue.Residual, kept = afterwards ? null : epilogue.Preactivation;
        GpuTiledProduct.Operands operands = new(gpu, a, b, output, branch, bias, before, kept, scales);
        int rank = branch?.Rank ?? 0;
        switch (layout)
        {
            case MatMulLayout.NN: GpuTiledProduct.Run<LayoutNN, NoMask, NoActivation>(gpu, size, rank, operands, default); break;
            case MatMulLayout.TN: GpuTiledProduct.Run<LayoutTN, NoMask, NoActivation>(gpu, size, rank, operands, default); break;
            default: RunLinear(gpu, size, rank, operands, epilogue.Activation); break;
        }
        if (afterwards) epilogue.MakeAfterwards(c);
    }

    /// <summary>c = x̃·bᵀ (NT) for a mask on the left operand, c = aᵀ·x̃ (TN) for one on the right.</summary>
    internal static void RunMasked(GpuDevice gpu, ProductMask side, MatMulSize size, Tensor a, Tensor b, Tensor c, DropoutMask mask)
    {
        if (RunsText(gpu, size))
        {
            MatMulLayout layout = side == ProductMask.Left ? MatMulLayout.NT : MatMulLayout.TN;
            new CudaProduct(TypeOf(gpu.MatMulPrecision), layout, size, a, b, c, Mask: (side, mask)).Run(gpu);
            return;
        }
        GpuTiledProduct.Operands operands = new(gpu, a, b, c);
        if (side == ProductMask.Left) GpuTiledProduct.Run<LayoutNT, LeftMask, NoActivation>(gpu, size, 0, operands, mask);
        else GpuTiledProduct.Run<LayoutTN, RightMask, NoActivation>(gpu, size, 0, operands, mask);
    }

    /// <summary>c = a·b + mask ∘ (a₂·b₂) + c, of which the branch is in float32 whatever the precision.</summary>
    internal static void RunMaskedBranch(
        GpuDevice gpu, MatMulSize size, Tensor a, Tensor b, Tensor c, bool accumulate, ProductBranch branch, WeightScales? scales, DropoutMask mask)
    {
        if (branch.Rank == 0) Run(gpu, MatMulLayout.NN, size, a, b, c, null, accumulate, scales: scales);
        else if (!RunsText(gpu, size))
            GpuTiledProduct.Run<LayoutNN, BranchMask, NoActivation>(
                gpu, size, branch.Rank, new(gpu, a, b, c, branch, before: accumulate ? c : null, scales: scales), mask);
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

    private static void RunLinear(GpuDevice gpu, MatMulSize size, int rank, in GpuTiledProduct.Operands operands, ActivationKind activation)
    {
        switch (activation)
        {
            case ActivationKind.None: GpuTiledProduct.Run<LayoutNT, NoMask, NoActivation>(gpu, size, rank, operands, default); break;
            case ActivationKind.Relu: GpuTiledProduct.Run<LayoutNT, NoMask, CpuRelu.ForwardOp>(gpu, size, rank, operands, default); break;
            case ActivationKind.Gelu: GpuTiledProduct.Run<LayoutNT, NoMask, CpuGelu.ForwardOp>(gpu, size, rank, operands, default); break;
            case ActivationKind.GeluTanh: GpuTiledProduct.Run<LayoutNT, NoMask, CpuGeluTanh.ForwardOp>(gpu, size, rank, operands, default); break;
            case ActivationKind.Silu: GpuTiledProduct.Run<LayoutNT, NoMask, CpuSilu.ForwardOp>(gpu, size, rank, operands, default); break;
            case ActivationKind.Tanh: GpuTiledProduct.Run<LayoutNT, NoMask, CpuTanh.ForwardOp>(gpu, size, rank, operands, default); break;
            case ActivationKind.Sigmoid: GpuTiledProduct.Run<LayoutNT, NoMask, CpuSigmoid.ForwardOp>(gpu, size, rank, operands, default); break;
            default: throw ActivationKinds.Unknown(activation);
        }
    }

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
