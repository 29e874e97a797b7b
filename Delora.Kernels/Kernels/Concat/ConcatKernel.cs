using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Tensors one after another along a dimension: with axis 0, [r1, in] and [r2, in] give [r1 + r2, in]; with axis 1, [out, r1] and [out,
/// r2] give
/// [out, r1 + r2]. Backward, each part's gradient is its slice of dy.
/// </summary>
public static partial class ConcatKernel
{
    private const string Op = "Concat";

    /// <summary>y = the parts along <paramref name="axis"/>.</summary>
    /// <param name="parts">One or more, alike in every other dimension.</param>
    /// <param name="axis">0 ≤ axis &lt; rank.</param>
    /// <param name="y">Output.</param>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static void Forward(ReadOnlySpan<Tensor> parts, int axis, Tensor y)
    {
        Check.HasShape(Op, y, ShapeOf(parts, axis));
        int start = 0;
        foreach (Tensor part in parts)
        {
            Copy(part, axis, start, y, fromWhole: false);
            start += part.Shape[axis];
        }
    }

    /// <summary>The gradient of one part: the slice of dy from <paramref name="start"/> along <paramref name="axis"/>.</summary>
    /// <param name="dy">Gradient of the output.</param>
    /// <param name="axis">The dimension of the forward pass.</param>
    /// <param name="start">Sum of the sizes of the parts before this one.</param>
    /// <param name="dPart">Gradient of the part, with the part's shape.</param>
    /// <exception cref="ShapeException">The slice does not lie within dy.</exception>
    public static void Backward(Tensor dy, int axis, int start, Tensor dPart)
    {
        bool fits = axis >= 0 && axis < dy.Shape.Rank && dPart.Shape.Rank == dy.Shape.Rank
            && start >= 0 && start <= dy.Shape[axis] - dPart.Shape[axis];
        for (int d = 0; fits && d < dy.Shape.Rank; d++) fits = d == axis || dy.Shape[d] == dPart.Shape[d];
        Check.Shapes(fits, $"{Op}: {dPart.Shape} from {start} along dimension {axis} is no slice of {dy.Shape}");
        Copy(dPart, axis, start, dy, fromWhole: true);
    }

    /// <summary>The shape of the parts together.</summary>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static Shape ShapeOf(ReadOnlySpan<Tensor> parts, int axis)
    {
        Check.Shapes(parts.Length > 0, $"{Op}: there are no parts");
        Shape first = parts[0].Shape;
        Check.Shapes(axis >= 0 && axis < first.Rank, $"{Op}: {first} has no dimension {axis}");
        int[] dims = [.. first.Dims];
        foreach (Tensor part in parts[1..])
        {
            bool fits = part.Shape.Rank == dims.Length;
            for (int d = 0; fits && d < dims.Length; d++) fits = d == axis || part.Shape[d] == dims[d];
            Check.Shapes(fits, $"{Op}: shapes differ beside dimension {axis}: {first}, {part.Shape}");
            dims[axis] = checked(dims[axis] + part.Shape[axis]);
        }
        return new Shape(dims);
    }

    private static void Copy(Tensor part, int axis, int start, Tensor whole, bool fromWhole)
    {
        // Row by row: a row holds the dimensions from the axis on.
        long below = new Shape(whole.Shape.Dims[(axis + 1)..]).ElementCount;
        var rows = new ConcatRows(part.Shape[axis] * below, whole.Shape[axis] * below, start * below);
        switch (Check.Floats(Op, part, whole))
        {
            case CpuDevice cpu: CpuConcat.Copy(cpu, part, whole, rows, fromWhole); break;
            case GpuDevice gpu: GpuConcat.Copy(gpu, part, whole, rows, fromWhole); break;
            case ReferenceDevice: ReferenceCopy(part, whole, rows, fromWhole); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}

/// <summary>Where a part lies in the whole, in elements.</summary>
/// <param name="Length">Of a row of the part.</param>
/// <param name="Stride">From one row of the whole to the next.</param>
/// <param name="Start">Of the part's elements in a row of the whole.</param>
internal readonly record struct ConcatRows(long Length, long Stride, long Start);
