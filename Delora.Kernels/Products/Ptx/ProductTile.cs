using Delora.Core;
using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// How the groups of a product share it out: a group makes a tile of c, each of its warps a part of that. The inner dimension passes through
/// shared memory in pieces of 64 bytes of each row or column, several of which are on their way at a time.
/// </summary>
/// <param name="Rows">Rows of a group's tile.</param>
/// <param name="Columns">Columns of a group's tile.</param>
/// <param name="WarpRows">Rows of a warp's part, a multiple of 16.</param>
/// <param name="WarpColumns">Columns of a warp's part, a multiple of 16.</param>
/// <param name="Stages">Pieces that are in shared memory at a time: for tensor cores at least 3, for float32 arithmetic 2.</param>
/// <param name="GroupsPerProcessor">Groups that are to fit on a multiprocessor.</param>
internal readonly record struct ProductTile(int Rows, int Columns, int WarpRows, int WarpColumns, int Stages, int GroupsPerProcessor)
{
    /// <summary>Bytes of a row or column of an operand that lie in shared memory in each stage.</summary>
    internal const int DepthBytes = 64;

    private const int WarpSize = 32;

    /// <summary>Threads of a group.</summary>
    internal int Threads => Rows / WarpRows * (Columns / WarpColumns) * WarpSize;

    /// <summary>Bytes of shared memory of a stage: the left operand's tile, then the right one's.</summary>
    internal int StageBytes => (Rows + Columns) * DepthBytes;

    /// <summary>Bytes of shared memory of a group.</summary>
    internal int SharedBytes => Stages * StageBytes;
}

/// <summary>An operand of a product as it lies in global memory.</summary>
/// <param name="Type">The type of its numbers: float32, bfloat16 or float16.</param>
/// <param name="ByDepth">
/// Whether numbers along the inner dimension are neighbors (a row-major left operand, a transposed right one); else those along c's rows or columns are.
/// </param>
/// <param name="Width">Bytes that are copied at a time: 16, 8, 4 or 2, as the alignment of all rows allows.</param>
internal readonly record struct ProductOperand(DType Type, bool ByDepth, int Width)
{
    /// <summary>The widest copy that an operand allows: its address and the length of its rows are multiples of it.</summary>
    /// <param name="type">The type of its numbers.</param>
    /// <param name="address">Where it begins.</param>
    /// <param name="rowLength">Numbers of a row in memory.</param>
    internal static int WidthOf(DType type, nint address, int rowLength)
    {
        long bits = address | (long)rowLength * type.Size | 16;
        return (int)(bits & -bits);
    }
}

/// <summary>Everything that the text of a product depends on.</summary>
/// <param name="Type">What the tensor cores multiply; null for float32 arithmetic without them.</param>
/// <param name="Left">The left operand.</param>
/// <param name="Right">The right operand.</param>
/// <param name="Branch">The operands of the low-rank branch, float32 in the order of the base's; null for none.</param>
/// <param name="WideOutput">Whether neighbors of c are stored at once, two by tensor cores, else four: its rows are aligned to that.</param>
/// <param name="Tile">The shares of groups and warps.</param>
/// <param name="Activation">What is made of the sums before they are stored.</param>
internal sealed record ProductVariant(
    MmaType? Type, ProductOperand Left, ProductOperand Right, (ProductOperand Left, ProductOperand Right)? Branch, bool WideOutput, ProductTile Tile,
    ActivationKind Activation = ActivationKind.None)
{
    /// <summary>A name for the kernel that says all of this.</summary>
    internal string Name
    {
        get
        {
            string branch = Branch is { } pair ? $"_branch{pair.Left.Width}_{pair.Right.Width}" : "";
            string output = $"{(WideOutput ? "" : "_odd")}{ActivationText.Suffix(Activation)}";
            return $"product_{TypeName}_{Word(Left)}_{Word(Right)}{branch}{output}_{Tile.Rows}x{Tile.Columns}";
        }
    }

    /// <summary><c>bf16</c>, <c>f16</c>, <c>tf32</c> or <c>f32</c>.</summary>
    internal string TypeName => Type is { } type ? Word(type) : "f32";

    /// <summary><c>bf16</c>, <c>f16</c> or <c>tf32</c>.</summary>
    internal static string Word(MmaType type) => type switch
    {
        MmaType.BFloat16 => "bf16",
        MmaType.Float16 => "f16",
        _ => "tf32",
    };

    private static string Word(ProductOperand operand)
    {
        string type = operand.Type switch
        {
            DType.BFloat16 => "bf16",
            DType.Float16 => "f16",
            _ => "f32",
        };
        return $"{(operand.ByDepth ? "k" : "n")}{type}w{operand.Width}";
    }
}
