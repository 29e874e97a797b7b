using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Gaussian error linear unit, exact: y = x·Φ(x) with Φ(x) = ½(1 + erf(x/√2)); dx = dy·(Φ(x) + x·φ(x)) with φ(x) = e^(−x²/2)/√(2π). Any
/// shape; NaN stays NaN.
/// </summary>
/// <remarks>Hendrycks, Gimpel: "Gaussian Error Linear Units (GELUs)", 2016, section 2; <c>torch.nn.GELU</c> with
/// <c>approximate="none"</c>.</remarks>
public static partial class GeluKernel
{
    private const string Op = "Gelu";

    /// <summary>y = x·Φ(x).</summary>
    /// <param name="x">Input, any shape.</param>
    /// <param name="y">Output, the shape of x; may be x itself.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    public static void Forward(Tensor x, Tensor y)
    {
        Check.SameShape(Op, x, y);
        switch (Check.Floats(Op, x, y))
        {
            case CpuDevice cpu: CpuGelu.Forward(cpu, x, y); break;
            case GpuDevice gpu: GpuGelu.Forward(gpu, x, y); break;
            case ReferenceDevice: ReferenceForward(x, y); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>dx = dy·(Φ(x) + x·φ(x)).</summary>
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
            case CpuDevice cpu: CpuGelu.Backward(cpu, x, dy, dx); break;
            case GpuDevice gpu: GpuGelu.Backward(gpu, x, dy, dx); break;
            case ReferenceDevice: ReferenceBackward(x, dy, dx); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
