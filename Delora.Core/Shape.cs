using System.Runtime.CompilerServices;

namespace Delora.Core;

/// <summary>
/// The dimensions of a tensor, row-major: the last one is contiguous in memory. A scalar has no dimensions and one element; a dimension may be 0.
/// </summary>
[CollectionBuilder(typeof(Shape), nameof(Create))]
public readonly struct Shape : IEquatable<Shape>
{
    /// <summary>The most dimensions a tensor can have.</summary>
    public const int MaxRank = 8;

    private readonly int[]? _dims;

    /// <summary>A shape with the given dimensions, outermost first.</summary>
    /// <exception cref="ShapeException">A dimension is negative, there are more than <see cref="MaxRank"/>, or the product overflows.</exception>
    public Shape(params ReadOnlySpan<int> dims)
    {
        if (dims.Length > MaxRank) throw new ShapeException($"A shape of {dims.Length} dimensions: at most {MaxRank} are supported.");
        _dims = dims.ToArray();
        ElementCount = CountElements(dims);
    }

    /// <summary>Number of elements: the product of all dimensions; 1 for a scalar.</summary>
    public long ElementCount { get => _dims is null ? 1 : field; }

    /// <summary>Number of dimensions.</summary>
    public int Rank => _dims?.Length ?? 0;

    /// <summary>All dimensions, outermost first.</summary>
    public ReadOnlySpan<int> Dims => _dims;

    /// <summary>One dimension; <c>^1</c> is the last.</summary>
    public int this[Index index] => Dims[index];

    /// <summary>The last dimension; 1 for a scalar.</summary>
    public int Columns => Rank == 0 ? 1 : Dims[^1];

    /// <summary>The product of all dimensions but the last; 1 for a scalar or a vector. With <c>[batch, seq, dim]</c>: batch · seq.</summary>
    public long Rows => Rank <= 1 ? 1 : CountElements(Dims[..^1]);

    /// <summary>This shape with its last dimension replaced: <c>[batch, seq, in]</c> → <c>[batch, seq, out]</c>.</summary>
    /// <exception cref="ShapeException">The shape is a scalar.</exception>
    public Shape WithColumns(int columns)
    {
        if (Rank == 0) throw new ShapeException("A scalar has no last dimension to replace.");
        int[] dims = [.. Dims];
        dims[^1] = columns;
        return new Shape(dims);
    }

    /// <summary>Builds a shape from a collection expression such as <c>[2, 3]</c>.</summary>
    public static Shape Create(ReadOnlySpan<int> dims) => new(dims);

    /// <summary>The dimensions one by one.</summary>
    public ReadOnlySpan<int>.Enumerator GetEnumerator() => Dims.GetEnumerator();

    /// <inheritdoc/>
    public bool Equals(Shape other) => Dims.SequenceEqual(other.Dims);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Shape other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (int dim in Dims) hash.Add(dim);
        return hash.ToHashCode();
    }

    /// <summary>The form used in every message: <c>[8, 16]</c>; <c>[]</c> for a scalar.</summary>
    public override string ToString() => $"[{string.Join(", ", Dims.ToArray())}]";

    /// <summary>Whether all dimensions are equal.</summary>
    public static bool operator ==(Shape left, Shape right) => left.Equals(right);

    /// <summary>Whether any dimension differs.</summary>
    public static bool operator !=(Shape left, Shape right) => !left.Equals(right);

    private static long CountElements(ReadOnlySpan<int> dims)
    {
        // A zero anywhere makes the product zero, but the others must still fit: [0, 2^31-1, 2^31-1, 2^31-1] has overflowing row strides.
        long count = 1, nonZero = 1;
        foreach (int dim in dims)
        {
            if (dim < 0) throw new ShapeException($"A shape with the negative dimension {dim}: [{string.Join(", ", dims.ToArray())}].");
            try
            {
                checked
                {
                    count *= dim;
                    if (dim > 0) nonZero *= dim;
                }
            }
            catch (OverflowException)
            {
                throw new ShapeException($"A shape with more than 2^63 elements: [{string.Join(", ", dims.ToArray())}].");
            }
        }
        return count;
    }
}
