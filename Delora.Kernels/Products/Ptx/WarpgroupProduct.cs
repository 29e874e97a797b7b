using System.Collections.Concurrent;
using Delora.Core;
using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>How a product of warpgroups is cut: the columns of a group's tile, and how many groups share the tiles.</summary>
internal readonly record struct WarpgroupPlan(int Columns, int Groups);

/// <summary>
/// Products on cards of compute capability 9.0 by <c>wgmma</c> (<see cref="WarpgroupWriter"/>), for operands that lie as the card's copies of tiles can read them;
/// float32 ones are rounded to 16 bits before.
/// </summary>
internal static class WarpgroupProduct
{
    // A whole tile: of less, the instructions would multiply zeros.
    private const int FewestRows = 128, FewestColumns = 128;

    // As many steps as a ring of four stages has: in fewer, copies are never ahead.
    private const int FewestSteps = 4 * WarpgroupVariant.Depth;

    // Tiles that read an operand again: from so many on, rounding it once before costs little beside the product.
    private const int ManyReads = 4;

    private static readonly ConcurrentDictionary<WarpgroupVariant, string> s_names = [];

    /// <summary>How a product is cut, or null where it is to be made otherwise.</summary>
    internal static WarpgroupPlan? Plan(GpuDevice gpu, CudaProduct product) =>
        // Exactly 9.0: later cards do not run these instructions.
        gpu.Target is { ComputeCapability: 90, PtxVersion: >= 80 } target && Suits(gpu, product) ? Choose(product.Size, target.Multiprocessors) : null;

    /// <summary>
    /// The plan that is expected to be done first; null for sizes that leave much of a card idle, or that end before the copies are ahead. A function of the sizes
    /// and the card alone.
    /// </summary>
    internal static WarpgroupPlan? Choose(MatMulSize size, int processors)
    {
        if (size.M < FewestRows || size.N < FewestColumns || size.K < FewestSteps) return null;
        WarpgroupPlan? best = null;
        double least = double.PositiveInfinity;
        // What a multiprocessor reaches: tiles of 128 columns read a third more of the second-level cache for each product.
        foreach ((int columns, double speed) in new[] { (256, 1.0), (128, 0.8) })
        {
            long tiles = Tiles(size, columns);
            // The product of single warps, at three fifths of the speed, is not bound to tiles: it also cuts the inner dimension.
            if (tiles > int.MaxValue || tiles < processors * 3L / 5) continue;
            double cost = Math.Ceiling((double)tiles / processors) * columns / speed;
            if (cost >= least) continue;
            (least, best) = (cost, new(columns, (int)Math.Min(tiles, processors)));
        }
        return best;
    }

    /// <summary>Whether copies of tiles can read the operands, as they are or rounded.</summary>
    internal static bool Suits(GpuDevice gpu, CudaProduct product)
    {
        if (StoredType(product) is not { } type || product.Mask is not null) return false;
        MatMulSize size = product.Size;
        return Reads(product.A, size.K, size.M, product.Layout != MatMulLayout.TN, size.N / 256)
            && Reads(product.B, size.K, size.N, product.Layout == MatMulLayout.NT, size.M / WarpgroupVariant.Rows)
            && (product.Branch is not { } branch || product.Layout == MatMulLayout.TN || branch.Rank % 8 == 0);

        bool Reads(Tensor operand, int depth, int lines, bool byDepth, int reads) =>
            (byDepth ? depth : lines) % (TensorTiles.AlignmentBytes / type.Size) == 0
            && (operand.DType == type ? gpu.Address(operand) % TensorTiles.AlignmentBytes == 0 : operand.DType == DType.Float32 && reads >= ManyReads);
    }

    /// <summary>What the text of a product depends on.</summary>
    internal static WarpgroupVariant Variant(GpuDevice gpu, CudaProduct product, WarpgroupPlan plan)
    {
        bool isPaired = product.Size.N % 2 == 0 && (gpu.Address(product.C) | product.Before(gpu) | product.Kept(gpu)) % (2 * sizeof(float)) == 0;
        int steps = ProductPlan.Quotient(product.Branch?.Rank ?? 0, WarpgroupVariant.StepDepth);
        return new(product.Type!.Value, product.Layout, plan.Columns, steps, isPaired, product.Epilogue.Activation);
    }

    /// <summary>The kernel of a variant.</summary>
    /// <exception cref="DeviceException">The driver refuses its text.</exception>
    internal static PtxKernel Load(GpuDevice gpu, WarpgroupVariant variant) =>
        gpu.LoadPtx(s_names.GetOrAdd(variant, static variant => variant.Name), _ => WarpgroupWriter.Write(variant).Text);

    /// <summary>Makes c by a given plan.</summary>
    internal static void Run(GpuDevice gpu, CudaProduct product, WarpgroupPlan plan)
    {
        (MatMulSize size, DType type) = (product.Size, StoredType(product)!.Value);
        int rank = product.Branch?.Rank ?? 0;
        (nint c, nint before, nint kept) = (gpu.Address(product.C), product.Before(gpu), product.Kept(gpu));
        WarpgroupVariant variant = Variant(gpu, product, plan);
        PtxKernel kernel = Load(gpu, variant);
        using Tensor? a = Rounded(gpu, product.A, type), b = Rounded(gpu, product.B, type);
        TensorMap left = Map(a ?? product.A, size.Batch, size.M, size.K, variant.LeftByDepth, WarpgroupVariant.Rows);
        TensorMap right = Map(b ?? product.B, size.Batch, size.N, size.K, variant.RightByDepth, plan.Columns);
        var launch = new PtxLaunch(plan.Groups, 1, 1, WarpgroupVariant.Threads, 1, 1, variant.SharedBytes);
        int tiles = checked((int)Tiles(size, plan.Columns));
        nint bias = product.Bias is null ? 0 : gpu.Address(product.Bias);
        if (product.Branch is not { Rank: > 0 } branch)
        {
            gpu.LaunchPtx(kernel, launch, (left, right, c, bias, size.M, size.N, size.K, tiles, before, kept));
            return;
        }
        using Tensor? down = Rounded(gpu, branch.A, type), up = Rounded(gpu, branch.B, type);
        TensorMap branchLeft = Map(down ?? branch.A, 1, size.M, rank, variant.LeftByDepth, WarpgroupVariant.Rows);
        TensorMap branchRight = Map(up ?? branch.B, 1, size.N, rank, variant.RightByDepth, plan.Columns);
        gpu.LaunchPtx(kernel, launch, (left, right, branchLeft, branchRight, c, bias, size.M, size.N, size.K, tiles, before, kept));

        // Tiles lie by depth with all their lines, else in parts of 64 lines.
        TensorMap Map(Tensor operand, int batch, int lines, int depth, bool byDepth, int tileLines) => gpu.MakeTensorMap(
            byDepth
                ? new(gpu.Address(operand), operand.DType, depth, lines, batch, tileLines)
                : new(gpu.Address(operand), operand.DType, lines, depth, batch, WarpgroupVariant.Depth));
    }

    private static long Tiles(MatMulSize size, int columns) =>
        checked((long)size.Batch * ProductPlan.Quotient(size.M, WarpgroupVariant.Rows) * ProductPlan.Quotient(size.N, columns));

    private static DType? StoredType(CudaProduct product)
    {
        MmaType? type = product.Type;
        return type switch
        {
            MmaType.BFloat16 => DType.BFloat16,
            MmaType.Float16 => DType.Float16,
            _ => null,
        };
    }

    /// <summary>A float32 operand in 16 bits; null where it has them already.</summary>
    private static Tensor? Rounded(GpuDevice gpu, Tensor operand, DType type)
    {
        if (operand.DType == type) return null;
        Tensor rounded = Tensor.Empty(operand.Shape, type, gpu, "an operand in 16 bits");
        CastKernel.Forward(operand, rounded);
        return rounded;
    }
}
