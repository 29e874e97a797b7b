using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Dropout: y_i = x_i·m_i with m_i = 1/(1−p) where the uniform number i of the stream is at least p, else 0 (see
/// <see cref="DropoutMask"/>). The mask is
/// made again in the backward pass, dx_i = dy_i·m_i, never stored, and is the same on every device.
/// </summary>
/// <remarks>Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov: "Dropout", JMLR 2014, in the inverted form of
/// <c>torch.nn.Dropout</c>.</remarks>
public static partial class DropoutKernel
{
    private const string Op = "Dropout";

    /// <summary>y = x∘mask.</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="mask">Probability and random numbers.</param>
    /// <param name="y">Output, the shape of x; may be x itself.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The probability is not in [0, 1).</exception>
    public static void Forward(Tensor x, DropoutMask mask, Tensor y)
    {
        Check.SameShape(Op, x, y);
        mask.Validated();
        switch (Check.Floats(Op, x, y))
        {
            case CpuDevice cpu: CpuDropout.Apply(cpu, x, mask, y); break;
            case GpuDevice gpu: GpuDropout.Apply(gpu, x, mask, y); break;
            case ReferenceDevice: ReferenceApply(x, mask, y); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>dx = dy∘mask.</summary>
    /// <param name="dy">Gradient of the output.</param>
    /// <param name="mask">The mask of the forward pass.</param>
    /// <param name="dx">Gradient of the input; may be dy itself.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    public static void Backward(Tensor dy, DropoutMask mask, Tensor dx) => Forward(dy, mask, dx);
}
