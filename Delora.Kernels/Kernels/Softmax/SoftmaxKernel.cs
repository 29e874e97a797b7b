using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Softmax over the last dimension: y_j = e^(x_j − max x) / Σ_k e^(x_k − max x); dx = y ∘ (dy − Σ_j dy_j y_j).
/// <para>
/// −∞ is a masked position and gives 0. A row that is −∞ throughout has no distribution: it gives zeros, and gradients of zero, so that a
/// fully masked row of an attention is harmless (torch gives NaN there). NaN or +∞ in a row makes the row NaN.
/// </para>
/// </summary>
public static partial class SoftmaxKernel
{
    private const string Op = "Softmax";

    /// <summary>y_j = e^(x_j − max x) / Σ_k e^(x_k − max x) in each row.</summary>
    /// <param name="x">[.., columns].</param>
    /// <param name="y">Output, the shape of x; may be x itself.</param>
    /// <exception cref="ShapeException">The shapes differ, or x is a scalar.</exception>
    public static void Forward(Tensor x, Tensor y)
    {
        RowShape.Of(Op, x);
        Check.SameShape(Op, x, y);
        switch (Check.Floats(Op, x, y))
        {
            case CpuDevice cpu: CpuSoftmax.Forward(cpu, x, y); break;
            case GpuDevice gpu: GpuSoftmax.Forward(gpu, x, y); break;
            case ReferenceDevice: ReferenceForward(x, y); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>dx = y ∘ (dy − Σ_j dy_j y_j) in each row.</summary>
    /// <param name="y">Output of the forward pass, [.., columns].</param>
    /// <param name="dy">Gradient of the output.</param>
    /// <param name="dx">Gradient of the input; may be dy itself.</param>
    /// <exception cref="ShapeException">The shapes differ, or y is a scalar.</exception>
    public static void Backward(Tensor y, Tensor dy, Tensor dx)
    {
        RowShape.Of(Op, y);
        Check.SameShape(Op, y, dy);
        Check.SameShape(Op, y, dx);
        switch (Check.Floats(Op, y, dy, dx))
        {
            case CpuDevice cpu: CpuSoftmax.Backward(cpu, y, dy, dx); break;
            case GpuDevice gpu: GpuSoftmax.Backward(gpu, y, dy, dx); break;
            case ReferenceDevice: ReferenceBackward(y, dy, dx); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
