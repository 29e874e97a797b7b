using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Sums. Over all elements: y = Σ x, a scalar; dx = dy everywhere. Over the last dimension ("rows"): y[i] = Σ_j x[i, j], which drops that
/// dimension, [batch, seq, dim] → [batch, seq]; dx[i, j] = dy[i]. A sum over nothing is 0. The order of the additions is fixed.
/// </summary>
public static partial class SumKernel
{
    private const string Op = "Sum";

    /// <summary>y = Σ x over all elements.</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="y">Output, [].</param>
    /// <exception cref="ShapeException">y is not a scalar.</exception>
    public static void Forward(Tensor x, Tensor y)
    {
        Check.HasShape(Op, y, []);
        Forward(x, y, 1, x.ElementCount);
    }

    /// <summary>dx = dy, everywhere.</summary>
    /// <param name="dy">Gradient of the output, [].</param>
    /// <param name="dx">Gradient of the input, any shape.</param>
    /// <exception cref="ShapeException">dy is not a scalar.</exception>
    public static void Backward(Tensor dy, Tensor dx)
    {
        Check.HasShape(Op, dy, []);
        Backward(dy, dx, dx.ElementCount);
    }

    /// <summary>y[i] = Σ_j x[i, j] over the last dimension.</summary>
    /// <param name="x">[.., columns].</param>
    /// <param name="y">Output, [..]: the shape of x without its last dimension.</param>
    /// <exception cref="ShapeException">y has another shape, or x is a scalar.</exception>
    public static void ForwardRows(Tensor x, Tensor y)
    {
        Check.HasShape(Op, y, RowShape.Of(Op, x));
        Forward(x, y, x.Shape.Rows, x.Shape.Columns);
    }

    /// <summary>dx[i, j] = dy[i].</summary>
    /// <param name="dy">Gradient of the output, [..].</param>
    /// <param name="dx">Gradient of the input, [.., columns].</param>
    /// <exception cref="ShapeException">The shapes do not fit, or dx is a scalar.</exception>
    public static void BackwardRows(Tensor dy, Tensor dx)
    {
        Check.HasShape(Op, dy, RowShape.Of(Op, dx));
        Backward(dy, dx, dx.Shape.Columns);
    }

    private static void Forward(Tensor x, Tensor y, long rows, long columns)
    {
        switch (Check.Floats(Op, x, y))
        {
            case CpuDevice cpu: CpuSum.Forward(cpu, x, y, rows, columns, 1); break;
            case GpuDevice gpu: GpuSum.Forward(gpu, x, y, rows, columns, 1); break;
            case ReferenceDevice: ReferenceForward(x, y, rows, columns); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    private static void Backward(Tensor dy, Tensor dx, long columns)
    {
        switch (Check.Floats(Op, dy, dx))
        {
            case CpuDevice cpu: CpuSum.Backward(cpu, dy, dx, columns, 1); break;
            case GpuDevice gpu: GpuSum.Backward(gpu, dy, dx, columns, 1); break;
            case ReferenceDevice: ReferenceBackward(dy, dx, columns); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
