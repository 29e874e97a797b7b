using System.Collections.Concurrent;
using Delora.Core;
using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// A product for a CUDA card: c = f(op(a)·op(b) + op(a₂)·op(b₂) + bias) + residual, or + c, where a and b may be float32, bfloat16 or float16, and
/// the low-rank branch, which lies like them, is float32.
/// </summary>
/// <param name="Type">What tensor cores multiply; null for float32 arithmetic without them.</param>
/// <param name="Layout">How a and b lie.</param>
/// <param name="Size">The measures of a and b.</param>
/// <param name="A">The left operand.</param>
/// <param name="B">The right operand.</param>
/// <param name="C">The output, float32.</param>
/// <param name="Bias">[n]; null for none.</param>
/// <param name="Accumulate">Whether to add to c; not with an epilogue.</param>
/// <param name="Branch">The branch's operands and their inner dimension; null for none. Not in a batch.</param>
/// <param name="Epilogue">f and the residual.</param>
internal sealed record CudaProduct(
    MmaType? Type, MatMulLayout Layout, MatMulSize Size, Tensor A, Tensor B, Tensor C, Tensor? Bias = null, bool Accumulate = false,
    ProductBranch? Branch = null, Epilogue Epilogue = default)
{
    // What a grid may have along its second and third axis.
    private const int MostGroups = 65535;

    // Tiles that read an operand again: from so many on, rounding it once before costs less than rounding it in each of them.
    private const int ManyReads = 4;

    private static readonly ConcurrentDictionary<ProductVariant, string> s_names = [];

    private DType? StoredType => Type is { } type ? new MmaTile(type, ProductPlan.Small.Rows, true).StoredType : null;

    /// <summary>Makes c as is expected to be done first.</summary>
    internal void Run(GpuDevice gpu)
    {
        if (WarpgroupProduct.Plan(gpu, this) is { } warpgroups)
        {
            WarpgroupProduct.Run(gpu, this, warpgroups);
            return;
        }
        using Tensor? a = RoundedBefore(gpu, A, Size.N / ProductPlan.Large.Columns), b = RoundedBefore(gpu, B, Size.M / ProductPlan.Large.Rows);
        CudaProduct product = this with { A = a ?? A, B = b ?? B };
        product.Run(gpu, product.Plan(gpu));
    }

    /// <summary>How the product is cut on a card.</summary>
    internal ProductPlan Plan(GpuDevice gpu) => ProductPlan.Choose(Size, Type, AllowsLarge(gpu), gpu.Target!.Multiprocessors);

    /// <summary>Makes c by a given plan.</summary>
    internal void Run(GpuDevice gpu, ProductPlan plan)
    {
        if (C.ElementCount == 0) return;
        ProductTile tile = plan.Tile;
        int tiles = checked(ProductPlan.Quotient(Size.M, tile.Rows) * ProductPlan.Quotient(Size.N, tile.Columns));
        using Tensor? parts = plan.Splits == 1 ? null : Tensor.Empty([plan.Splits, Size.Batch, Size.M, Size.N], DType.Float32, gpu, "parts of a product");
        Tensor output = parts ?? C;
        // What comes behind the sum is made where the sum is complete.
        (nint before, nint kept) = parts is null ? (Before(gpu), Kept(gpu)) : (0, 0);
        ActivationKind activation = parts is null ? Epilogue.Activation : ActivationKind.None;
        bool isWide = ProductOperand.WidthOf(DType.Float32, gpu.Address(output) | before | kept, Size.N) >= (Type is null ? 16 : 8);
        ProductVariant variant = new(Type, Left(gpu), Right(gpu), BranchOperands(gpu), isWide, tile, activation);
        PtxKernel kernel = gpu.LoadPtx(s_names.GetOrAdd(variant, static variant => variant.Name), _ => ProductWriter.Write(variant).Text);
        nint a = gpu.Address(A), b = gpu.Address(B), c = gpu.Address(output), bias = Bias is null || parts is not null ? 0 : gpu.Address(Bias);
        long splitBytes = parts is null ? 0 : C.ByteLength;
        for (int batch = 0; batch < Size.Batch; batch += MostGroups)
        {
            var launch = new PtxLaunch(tiles, plan.Splits, Math.Min(MostGroups, Size.Batch - batch), tile.Threads, 1, 1, tile.SharedBytes);
            if (Branch is { } branch)
                gpu.LaunchPtx(kernel, launch, (
                    a, b, c, bias, gpu.Address(branch.A), gpu.Address(branch.B), branch.Rank,
                    Size.M, Size.N, Size.K, plan.TilesOfSplit, before, kept, splitBytes));
            else gpu.LaunchPtx(kernel, launch, (a, b, c, bias, Size.M, Size.N, Size.K, plan.TilesOfSplit, before, kept, splitBytes));
            a += checked((nint)((long)MostGroups * Size.M * Size.K * A.DType.Size));
            b += checked((nint)((long)MostGroups * Size.K * Size.N * B.DType.Size));
            nint next = checked((nint)((long)MostGroups * Size.M * Size.N * sizeof(float)));
            c += next;
            if (before != 0) before += next;
            if (kept != 0) kept += next;
        }
        if (parts is not null) AddParts(gpu, parts, plan.Splits);
    }

    private void AddParts(GpuDevice gpu, Tensor parts, int splits)
    {
        long groups = (C.ElementCount + PartialSums.Threads - 1) / PartialSums.Threads;
        PtxKernel kernel = gpu.LoadPtx(PartialSums.Name(Epilogue.Activation), _ => PartialSums.Write(Epilogue.Activation).Text);
        gpu.LaunchPtx(kernel, new PtxLaunch(checked((int)groups), 1, 1, PartialSums.Threads, 1, 1, 0), (
            gpu.Address(parts), gpu.Address(C), Bias is null ? (nint)0 : gpu.Address(Bias), Before(gpu), Kept(gpu), C.ElementCount, splits, Size.N));
    }

    /// <summary>The address of what is added to the result, c or a residual; 0 for nothing.</summary>
    internal nint Before(GpuDevice gpu) => Accumulate ? gpu.Address(C) : Epilogue.Residual is { } residual ? gpu.Address(residual) : 0;

    /// <summary>The address where what f is of is kept; 0 where it is not.</summary>
    internal nint Kept(GpuDevice gpu) => Epilogue.Preactivation is { } kept ? gpu.Address(kept) : 0;

    /// <summary>A float32 operand in the 16 bits that are multiplied, the same ones that the product would round it to; null where that does not
    /// pay.</summary>
    private Tensor? RoundedBefore(GpuDevice gpu, Tensor operand, int reads)
    {
        if (StoredType is not { } type || operand.DType != DType.Float32 || reads < ManyReads) return null;
        Tensor rounded = Tensor.Empty(operand.Shape, type, gpu, "an operand in 16 bits");
        CastKernel.Forward(operand, rounded);
        return rounded;
    }

    /// <summary>Two operands on their way through registers, or one in small pieces, leave too few for the largest tile.</summary>
    private bool AllowsLarge(GpuDevice gpu)
    {
        int staged = (A.DType == StoredType ? 0 : 1) + (B.DType == StoredType ? 0 : 1);
        return staged == 0 || (staged == 1 && Math.Min(Left(gpu).Width, Right(gpu).Width) == 16);
    }

    private ProductOperand Left(GpuDevice gpu) => Operand(gpu, A, Layout != MatMulLayout.TN, Size.M, Size.K);

    private ProductOperand Right(GpuDevice gpu) => Operand(gpu, B, Layout == MatMulLayout.NT, Size.N, Size.K);

    private (ProductOperand Left, ProductOperand Right)? BranchOperands(GpuDevice gpu) => Branch is not { } branch ? null : (
        Operand(gpu, branch.A, Layout != MatMulLayout.TN, Size.M, branch.Rank), Operand(gpu, branch.B, Layout == MatMulLayout.NT, Size.N, branch.Rank));

    private static ProductOperand Operand(GpuDevice gpu, Tensor operand, bool byDepth, int lines, int depth) =>
        new(operand.DType, byDepth, ProductOperand.WidthOf(operand.DType, gpu.Address(operand), byDepth ? depth : lines));
}

/// <summary>The low-rank branch of a product: op(a₂) [m, rank] and op(b₂) [rank, n], float32, lying as the product's operands do.</summary>
internal readonly record struct ProductBranch(Tensor A, Tensor B, int Rank);
