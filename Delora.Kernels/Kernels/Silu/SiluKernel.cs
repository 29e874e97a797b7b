using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Sigmoid linear unit (swish): y = x·σ(x); dx = dy·(σ(x) + y·(1 − σ(x))) with σ(x) = 1/(1 + e^−x). Any shape; NaN stays NaN.
/// </summary>
/// <remarks>Elfwing, Uchibe, Doya: "Sigmoid-Weighted Linear Units", 2017, equations 1 and 3; <c>torch.nn.SiLU</c>.</remarks>
public static partial class SiluKernel
{
    private const string Op = "Silu";

    /// <summary>y = x·σ(x).</summary>
    /// <param name="x">Input, any shape.</param>
    /// <param name="y">Output, the shape of x; may be x itself.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    public static void Forward(Tensor x, Tensor y)
    {
        Check.SameShape(Op, x, y);
        switch (Check.Floats(Op, x, y))
        {
            case CpuDevice cpu: CpuSilu.Forward(cpu, x, y); break;
            case GpuDevice gpu: GpuSilu.Forward(gpu, x, y); break;
            case ReferenceDevice: ReferenceForward(x, y); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>dx = dy·σ(x)·(1 + x·(1 − σ(x))).</summary>
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
            case CpuDevice cpu: CpuSilu.Backward(cpu, x, dy, dx); break;
            case GpuDevice gpu: GpuSilu.Backward(gpu, x, dy, dx); break;
            case ReferenceDevice: ReferenceBackward(x, dy, dx); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
