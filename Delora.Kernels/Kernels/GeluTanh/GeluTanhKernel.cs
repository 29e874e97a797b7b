using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Gaussian error linear unit in its tanh form, as GPT-2 has it: y = ½x(1 + tanh u) with u = √(2/π)(x + 0.044715x³);
/// dx = dy·(½(1 + tanh u) + ½x(1 − tanh² u)·√(2/π)(1 + 0.134145x²)). Any shape; NaN stays NaN.
/// </summary>
/// <remarks>Hendrycks, Gimpel: "Gaussian Error Linear Units (GELUs)", 2016, section 2; <c>torch.nn.GELU</c> with
/// <c>approximate="tanh"</c>.</remarks>
public static partial class GeluTanhKernel
{
    private const string Op = "GeluTanh";

    /// <summary>y = ½x(1 + tanh u).</summary>
    /// <param name="x">Input, any shape.</param>
    /// <param name="y">Output, the shape of x; may be x itself.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    public static void Forward(Tensor x, Tensor y)
    {
        Check.SameShape(Op, x, y);
        switch (Check.Floats(Op, x, y))
        {
            case CpuDevice cpu: CpuGeluTanh.Forward(cpu, x, y); break;
            case GpuDevice gpu: GpuGeluTanh.Forward(gpu, x, y); break;
            case ReferenceDevice: ReferenceForward(x, y); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>dx = dy·(½(1 + tanh u) + ½x(1 − tanh² u)·u').</summary>
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
            case CpuDevice cpu: CpuGeluTanh.Backward(cpu, x, dy, dx); break;
            case GpuDevice gpu: GpuGeluTanh.Backward(gpu, x, dy, dx); break;
            case ReferenceDevice: ReferenceBackward(x, dy, dx); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
