using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// Matrices turned over, bit by bit, through the host: for weights whose files hold them the other way round. A weight is turned once when a model
/// is loaded and once when it is saved; products take a transpose as an argument instead.
/// </summary>
internal static class Transposition
{
    /// <summary>Side of the blocks that are turned at a time: both sides of the copy stay in the cache.</summary>
    private const int Block = 32;

    /// <summary>The transpose as a new tensor [columns, rows].</summary>
    /// <param name="matrix">[rows, columns], float32 or float64.</param>
    /// <param name="name">Name of the new tensor.</param>
    /// <exception cref="ShapeException">It has not two dimensions, or more elements than an array can hold.</exception>
    internal static Tensor Of(Tensor matrix, string name)
    {
        Check.HasRank(nameof(Transposition), matrix, 2);
        Tensor turned = matrix.DType == DType.Float64 ? Of<double>(matrix, name) : Of<float>(matrix, name);
        turned.TypeInFile = matrix.TypeInFile;
        return turned;
    }

    private static Tensor Of<T>(Tensor matrix, string name) where T : unmanaged
    {
        int rows = matrix.Shape[0], columns = matrix.Shape[1];
        if (matrix.Device.IsPlanning) return Tensor.Empty([columns, rows], matrix.DType, matrix.Device, name);
        T[] from = matrix.ToArray<T>(), to = new T[from.Length];
        for (int row = 0; row < rows; row += Block)
            for (int column = 0; column < columns; column += Block)
                Turn(from, to, rows, columns, row, column);
        return Tensor.From(to, [columns, rows], matrix.Device, name);
    }

    private static void Turn<T>(T[] from, T[] to, int rows, int columns, int row, int column)
    {
        int lastRow = Math.Min(rows, row + Block), lastColumn = Math.Min(columns, column + Block);
        for (int i = row; i < lastRow; i++)
            for (int j = column; j < lastColumn; j++) to[j * rows + i] = from[i * columns + j];
    }
}
