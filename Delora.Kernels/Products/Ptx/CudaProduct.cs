using System.Collections.Concurrent;
using Delora.Core;
using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// A product for the tensor cores of a CUDA card: c = op(a)·op(b) + op(a₂)·op(b₂) + bias + c, where a and b may be float32, bfloat16 or float16, and the low-rank
/// branch, which lies like them, is float32.
/// </summary>
/// <param name="Type">What the tensor cores multiply.</param>
/// <param name="Layout">How a and b lie.</param>
/// <param name="Size">The measures of a and b.</param>
/// <param name="A">The left operand.</param>
/// <param name="B">The right operand.</param>
/// <param name="C">The output, float32.</param>
/// <param name="Bias">[n]; null for none.</param>
/// <param name="Accumulate">Whether to add to c.</param>
/// <param name="Branch">The branch's operands and their inner dimension; null for none. Not in a batch.</param>
internal sealed record CudaProduct(
    MmaType Type, MatMulLayout Layout, MatMulSize Size, Tensor A, Tensor B, Tensor C, Tensor? Bias = null, bool Accumulate = false, ProductBranch? Branch = null)
{
    // What a grid may have along its second and third axis.
    private const int MostGroups = 65535;

    private static readonly ConcurrentDictionary<ProductVariant, string> s_names = [];

    /// <summary>Makes c as is expected to be done first.</summary>
    internal void Run(GpuDevice gpu)
    {
        if (WarpgroupProduct.Plan(gpu, this) is { } warpgroups)
        {
            WarpgroupProduct.Run(gpu, this, warpgroups);
            return;
        }
        bool isLeftStaged = IsStaged(A), isRightStaged = IsStaged(B);
        // Two operands on their way through registers, or one in small pieces, leave too few for the largest tile.
        bool isNarrow = Left(gpu).Width < 16 || Right(gpu).Width < 16;
        bool allowsLarge = !isLeftStaged && !isRightStaged || (isLeftStaged != isRightStaged && !isNarrow);
        Run(gpu, ProductPlan.Choose(Size, new MmaTile(Type, 64, true).Depth, allowsLarge, gpu.Target!.Multiprocessors));
    }

    /// <summary>Makes c by a given plan.</summary>
    internal void Run(GpuDevice gpu, ProductPlan plan)
    {
        if (C.ElementCount == 0) return;
        ProductTile tile = plan.Tile;
        int tiles = checked(ProductPlan.Quotient(Size.M, tile.Rows) * ProductPlan.Quotient(Size.N, tile.Columns));
        using Tensor? parts = plan.Splits == 1 ? null : Tensor.Empty([plan.Splits, Size.Batch, Size.M, Size.N], DType.Float32, gpu, "parts of a product");
        bool isPaired = Size.N % 2 == 0 && gpu.Address(C) % (2 * sizeof(float)) == 0;
        ProductVariant variant = new(Type, Left(gpu), Right(gpu), BranchOperands(gpu), isPaired, tile);
        PtxKernel kernel = gpu.LoadPtx(s_names.GetOrAdd(variant, static variant => variant.Name), _ => TensorProduct.Write(variant).Text);
        nint a = gpu.Address(A), b = gpu.Address(B), c = gpu.Address(parts ?? C), bias = Bias is null || parts is not null ? 0 : gpu.Address(Bias);
        long splitBytes = parts is null ? 0 : C.ByteLength;
        int accumulate = Accumulate && parts is null ? 1 : 0;
        for (int batch = 0; batch < Size.Batch; batch += MostGroups)
        {
            var launch = new PtxLaunch(tiles, plan.Splits, Math.Min(MostGroups, Size.Batch - batch), tile.Threads, 1, 1, tile.SharedBytes);
            if (Branch is { } branch)
                gpu.LaunchPtx(kernel, launch, (
                    a, b, c, bias, gpu.Address(branch.A), gpu.Address(branch.B), branch.Rank, Size.M, Size.N, Size.K, plan.TilesOfSplit, accumulate, splitBytes));
            else gpu.LaunchPtx(kernel, launch, (a, b, c, bias, Size.M, Size.N, Size.K, plan.TilesOfSplit, accumulate, splitBytes));
            a += checked((nint)((long)MostGroups * Size.M * Size.K * A.DType.Size));
            b += checked((nint)((long)MostGroups * Size.K * Size.N * B.DType.Size));
            c += checked((nint)((long)MostGroups * Size.M * Size.N * sizeof(float)));
        }
        if (parts is not null) AddParts(gpu, parts, plan.Splits);
    }

    private void AddParts(GpuDevice gpu, Tensor parts, int splits)
    {
        long groups = (C.ElementCount + PartialSums.Threads - 1) / PartialSums.Threads;
        PtxKernel kernel = gpu.LoadPtx(PartialSums.Name, _ => PartialSums.Write().Text);
        gpu.LaunchPtx(kernel, new PtxLaunch(checked((int)groups), 1, 1, PartialSums.Threads, 1, 1, 0), (
            gpu.Address(parts), gpu.Address(C), Bias is null ? 0 : gpu.Address(Bias), C.ElementCount, splits, Size.N, Accumulate ? 1 : 0));
    }

    private bool IsStaged(Tensor operand) => operand.DType != new MmaTile(Type, 64, true).StoredType;

    private ProductOperand Left(GpuDevice gpu) => Operand(gpu, A, Layout != MatMulLayout.TN, Size.M, Size.K);

    private ProductOperand Right(GpuDevice gpu) => Operand(gpu, B, Layout == MatMulLayout.NT, Size.N, Size.K);

    private (ProductOperand Left, ProductOperand Right)? BranchOperands(GpuDevice gpu) => Branch is not { } branch ? null : (
        Operand(gpu, branch.A, Layout != MatMulLayout.TN, Size.M, branch.Rank), Operand(gpu, branch.B, Layout == MatMulLayout.NT, Size.N, branch.Rank));

    private static ProductOperand Operand(GpuDevice gpu, Tensor operand, bool byDepth, int lines, int depth) =>
        new(operand.DType, byDepth, ProductOperand.WidthOf(operand.DType, gpu.Address(operand), byDepth ? depth : lines));
}

/// <summary>The low-rank branch of a product: op(a₂) [m, rank] and op(b₂) [rank, n], float32, lying as the product's operands do.</summary>
internal readonly record struct ProductBranch(Tensor A, Tensor B, int Rank);
