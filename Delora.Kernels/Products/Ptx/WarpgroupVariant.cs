using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>Everything that the text of a product of warpgroups depends on.</summary>
/// <param name="Type">What is multiplied: bfloat16 or float16.</param>
/// <param name="Layout">How the operands lie.</param>
/// <param name="Columns">Columns of a group's tile: 256 or 128.</param>
/// <param name="BranchSteps">Sixteens of the low-rank branch's inner dimension; 0 without a branch.</param>
/// <param name="PairedOutput">Whether two neighbors of c are stored at once: it has an even number of columns and lies at a multiple of 8 bytes.</param>
/// <param name="Activation">What is made of the sums before they are stored.</param>
internal sealed record WarpgroupVariant(
    MmaType Type, MatMulLayout Layout, int Columns, int BranchSteps, bool PairedOutput, ActivationKind Activation = ActivationKind.None)
{
    /// <summary>Rows of a group's tile: 64 for each of two warpgroups.</summary>
    internal const int Rows = 128;

    /// <summary>Steps of the inner dimension in a stage: 128 bytes.</summary>
    internal const int Depth = TensorTiles.TileColumns;

    /// <summary>Steps of the inner dimension that an instruction multiplies.</summary>
    internal const int StepDepth = 16;

    /// <summary>Threads of a group: a warpgroup for copies, two for products.</summary>
    internal const int Threads = 3 * PtxWriter.WarpgroupThreads;

    /// <summary>Bytes of a barrier object.</summary>
    internal const int BarrierBytes = 8;

    // Of 227 KiB; as many stages as fit.
    private const int StagesBytes = 192 << 10;

    /// <summary>Whether numbers along the inner dimension are neighbors in the left operand.</summary>
    internal bool LeftByDepth => Layout != MatMulLayout.TN;

    /// <summary>Whether they are in the right operand.</summary>
    internal bool RightByDepth => Layout == MatMulLayout.NT;

    /// <summary>Bytes of shared memory of a stage: the left operand's tile, then the right one's.</summary>
    internal int StageBytes => LineBytes * (Rows + Columns);

    /// <summary>Pieces of the inner dimension that are in shared memory at a time.</summary>
    internal int Stages => StagesBytes / StageBytes;

    /// <summary>Bytes of shared memory of a group: the stages, and two barrier objects for each.</summary>
    internal int SharedBytes => Stages * (StageBytes + 2 * BarrierBytes);

    /// <summary>Bytes of a row or column of an operand in a stage.</summary>
    internal static int LineBytes => 2 * Depth;

    /// <summary>A name for the kernel that says all of this.</summary>
    internal string Name =>
        $"warpgroup_product_{ProductVariant.Word(Type)}_{(LeftByDepth ? 'k' : 'n')}{(RightByDepth ? 'k' : 'n')}{(BranchSteps == 0 ? "" : $"_branch{BranchSteps}")}"
        + $"{(PairedOutput ? "" : "_odd")}{ActivationText.Suffix(Activation)}_{Rows}x{Columns}";
}
