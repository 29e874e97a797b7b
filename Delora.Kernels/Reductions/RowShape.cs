using Delora.Core;

namespace Delora.Kernels;

/// <summary>Shapes of what is computed per row, that is along the last dimension.</summary>
internal static class RowShape
{
    /// <summary>The shape without its last dimension: [batch, seq, dim] → [batch, seq].</summary>
    /// <exception cref="ShapeException">The tensor is a scalar.</exception>
    internal static Shape Of(string op, Tensor x)
    {
        Check.Shapes(x.Shape.Rank > 0, $"{op}: x [] is a scalar and has no last dimension");
        return new Shape(x.Shape.Dims[..^1]);
    }
}
