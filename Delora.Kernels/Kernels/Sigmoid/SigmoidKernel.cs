using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Logistic function: y = 1/(1 + e^−x); dx = dy·y·(1 − y). Any shape; NaN stays NaN.
/// </summary>
/// <remarks><c>torch.sigmoid</c>.</remarks>
public static partial class SigmoidKernel
{
    private const string Op = "Sigmoid";

    /// <summary>y = 1/(1 + e^−x).</summary>
    /// <param name="x">Input, any shape.</param>
    /// <param name="y">Output, the shape of x; may be x itself.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    public static void Forward(Tensor x, Tensor y)
    {
        Check.SameShape(Op, x, y);
        switch (Check.Floats(Op, x, y))
        {
            case CpuDevice cpu: CpuSigmoid.Forward(cpu, x, y); break;
            case GpuDevice gpu: GpuSigmoid.Forward(gpu, x, y); break;
            case ReferenceDevice: ReferenceForward(x, y); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>dx = dy·y·(1 − y).</summary>
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
            case CpuDevice cpu: CpuSigmoid.Backward(cpu, y, dy, dx); break;
            case GpuDevice gpu: GpuSigmoid.Backward(gpu, y, dy, dx); break;
            case ReferenceDevice: ReferenceBackward(y, dy, dx); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
