using Delora.Core;

namespace Delora.Kernels;

/// <summary>A tensor times a number: y = factor·x. Backward, it is its own: dx = factor·dy.</summary>
public static partial class ScaleKernel
{
    private const string Op = "Scale";

    /// <summary>y = factor·x.</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="factor">Rounded to float32 except on the reference device.</param>
    /// <param name="y">Output, the shape of x; may be x itself.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="NonFiniteException">The factor is not a finite float32.</exception>
    public static void Forward(Tensor x, double factor, Tensor y)
    {
        Check.SameShape(Op, x, y);
        CheckFactor(factor);
        switch (Check.Floats(Op, x, y))
        {
            case CpuDevice cpu: CpuScale.Forward(cpu, x, (float)factor, y); break;
            case GpuDevice gpu: GpuScale.Forward(gpu, x, (float)factor, y); break;
            case ReferenceDevice: ReferenceForward(x, factor, y); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    internal static void CheckFactor(double factor)
    {
        if (!float.IsFinite((float)factor))
            throw new NonFiniteException(FormattableString.Invariant($"{Op}: the factor {factor} is not a finite float32"));
    }
}
