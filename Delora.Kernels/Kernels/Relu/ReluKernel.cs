using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Rectified linear unit: y = max(x, 0); dx = dy where x &gt; 0, else 0. Any shape; NaN stays NaN.
/// </summary>
public static partial class ReluKernel
{
    private const string Op = "Relu";

    /// <summary>y = max(x, 0).</summary>
    /// <param name="x">Input, any shape.</param>
    /// <param name="y">Output, the shape of x; may be x itself.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    public static void Forward(Tensor x, Tensor y)
    {
        Check.SameShape(Op, x, y);
        switch (Check.Floats(Op, x, y))
        {
            case CpuDevice cpu: CpuRelu.Forward(cpu, x, y); break;
            case GpuDevice gpu: GpuRelu.Forward(gpu, x, y); break;
            case ReferenceDevice: ReferenceForward(x, y); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>dx = dy where x &gt; 0, else 0.</summary>
    /// <param name="x">Input of the forward pass.</param>
    /// <param name="dy">Gradient of the output.</param>
    /// <param name="dx">Gradient of the input; may be dy itself.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    public static void Backward(Tensor x, Tensor dy, Tensor dx)
    {
        Check.SameShape(Op, x, dy);
        Check.SameShape(Op, x, dx);
        switch (Check.Floats(Op, x, dy, dx))
        {
            case CpuDevice cpu: CpuRelu.Backward(cpu, x, dy, dx); break;
            case GpuDevice gpu: GpuRelu.Backward(gpu, x, dy, dx); break;
            case ReferenceDevice: ReferenceBackward(x, dy, dx); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
