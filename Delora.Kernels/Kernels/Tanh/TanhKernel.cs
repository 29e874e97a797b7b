using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Hyperbolic tangent: y = tanh x; dx = dy·(1 − y²). Any shape; NaN stays NaN.
/// </summary>
/// <remarks><c>torch.tanh</c>.</remarks>
public static partial class TanhKernel
{
    private const string Op = "Tanh";

    /// <summary>y = tanh x.</summary>
    /// <param name="x">Input, any shape.</param>
    /// <param name="y">Output, the shape of x; may be x itself.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    public static void Forward(Tensor x, Tensor y)
    {
        Check.SameShape(Op, x, y);
        switch (Check.Floats(Op, x, y))
        {
            case CpuDevice cpu: CpuTanh.Forward(cpu, x, y); break;
            case GpuDevice gpu: GpuTanh.Forward(gpu, x, y); break;
            case ReferenceDevice: ReferenceForward(x, y); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>dx = dy·(1 − y²).</summary>
    /// <param name="y">Output of the forward pass: the input is not needed.</param>
    /// <param name="dy">Gradient of the output.</param>
    /// <param name="dx">Gradient of the input; may be dy itself.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    public static void Backward(Tensor y, Tensor dy, Tensor dx)
    {
        Check.SameShape(Op, y, dy);
        Check.SameShape(Op, y, dx);
        switch (Check.Floats(Op, y, dy, dx))
        {
            case CpuDevice cpu: CpuTanh.Backward(cpu, y, dy, dx); break;
            case GpuDevice gpu: GpuTanh.Backward(gpu, y, dy, dx); break;
            case ReferenceDevice: ReferenceBackward(y, dy, dx); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
