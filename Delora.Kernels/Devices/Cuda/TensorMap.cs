using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// What a card of 9.0 is given of a tensor from which it copies tiles (<c>CUtensorMap</c>): bytes that only the driver that made them can read, a parameter of
/// the kernel.
/// </summary>
[InlineArray(ByteLength / sizeof(ulong))]
internal struct TensorMap
{
    internal const int ByteLength = 128;

    internal const int Alignment = 64;

#pragma warning disable IDE0044, CS0169 // The driver writes it.
    private ulong _first;
#pragma warning restore IDE0044, CS0169
}

/// <summary>
/// Matrices of 16-bit numbers, one behind the other, and the tile of them that a copy brings to shared memory. A row of a tile has 128 bytes there, whose chunks of
/// 16 change places with the row (<c>CU_TENSOR_MAP_SWIZZLE_128B</c>); what lies outside of a matrix becomes zero.
/// </summary>
/// <param name="Address">Where they begin, a multiple of 16 bytes.</param>
/// <param name="Type">bfloat16 or float16.</param>
/// <param name="Columns">Numbers of a row, a multiple of 8.</param>
/// <param name="Rows">Rows of a matrix.</param>
/// <param name="Batch">How many matrices.</param>
/// <param name="TileRows">Rows of a tile, at most 256.</param>
internal readonly record struct TensorTiles(nint Address, DType Type, int Columns, int Rows, int Batch, int TileRows)
{
    /// <summary>Numbers of a row of a tile.</summary>
    internal const int TileColumns = 64;

    /// <summary>What address and rows are multiples of.</summary>
    internal const int AlignmentBytes = 16;

    /// <summary>Bytes of a row.</summary>
    internal long RowBytes => (long)Columns * Type.Size;

    /// <summary>Bytes of a matrix.</summary>
    internal long MatrixBytes => checked(RowBytes * Rows);
}
