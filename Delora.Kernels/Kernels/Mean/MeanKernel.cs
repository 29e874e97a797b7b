using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Means. Over all n elements: y = (1/n) Σ x, a scalar; dx = dy/n. Over the last dimension ("rows"): y[i] = (1/columns) Σ_j x[i, j],
/// which drops that dimension, [batch, seq, dim] → [batch, seq]; dx[i, j] = dy[i]/columns. A mean over nothing is refused.
/// </summary>
public static partial class MeanKernel
{
    private const string Op = "Mean";

    /// <summary>y = (1/n) Σ x over all n elements.</summary>
    /// <param name="x">Any shape, n > 0 elements.</param>
    /// <param name="y">Output, [].</param>
    /// <exception cref="ShapeException">y is not a scalar, or x has no elements.</exception>
    public static void Forward(Tensor x, Tensor y)
    {
        Check.HasShape(Op, y, []);
        Forward(x, y, 1, x.ElementCount);
    }

    /// <summary>dx = dy/n, everywhere.</summary>
    /// <param name="dy">Gradient of the output, [].</param>
    /// <param name="dx">Gradient of the input, any shape of n elements.</param>
    /// <exception cref="ShapeException">dy is not a scalar.</exception>
    public static void Backward(Tensor dy, Tensor dx)
    {
        Check.HasShape(Op, dy, []);
        Backward(dy, dx, dx.ElementCount);
    }

    /// <summary>y[i] = (1/columns) Σ_j x[i, j] over the last dimension.</summary>
    /// <param name="x">[.., columns], columns > 0.</param>
    /// <param name="y">Output, [..]: the shape of x without its last dimension.</param>
    /// <exception cref="ShapeException">y has another shape, x is a scalar, or columns is 0.</exception>
    public static void ForwardRows(Tensor x, Tensor y)
    {
        Check.HasShape(Op, y, RowShape.Of(Op, x));
        Forward(x, y, x.Shape.Rows, x.Shape.Columns);
    }

    /// <summary>dx[i, j] = dy[i]/columns.</summary>
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
        Check.Shapes(columns > 0, $"{Op}: x {x.Shape} has no elements to average");
        switch (Check.Floats(Op, x, y))
        {
            case CpuDevice cpu: CpuMean.Forward(cpu, x, y, rows, columns); break;
            case GpuDevice gpu: GpuMean.Forward(gpu, x, y, rows, columns); break;
            case ReferenceDevice: ReferenceForward(x, y, rows, columns); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    private static void Backward(Tensor dy, Tensor dx, long columns)
    {
        switch (Check.Floats(Op, dy, dx))
        {
            case CpuDevice cpu: CpuMean.Backward(cpu, dy, dx, columns); break;
            case GpuDevice gpu: GpuMean.Backward(gpu, dy, dx, columns); break;
            case ReferenceDevice: ReferenceBackward(dy, dx, columns); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
