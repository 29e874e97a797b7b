using Delora.Core;

namespace Delora.Kernels;

/// <summary>Elementwise product of two tensors of one shape: y = a∘b. Backward, it is its own: da = dy∘b, db = dy∘a.</summary>
public static partial class MultiplyKernel
{
    private const string Op = "Multiply";

    /// <summary>y = a∘b.</summary>
    /// <param name="a">Any shape.</param>
    /// <param name="b">The shape of a.</param>
    /// <param name="y">Output, the shape of a; may be a or b itself.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    public static void Forward(Tensor a, Tensor b, Tensor y)
    {
        Check.SameShape(Op, a, b);
        Check.SameShape(Op, a, y);
        switch (Check.Floats(Op, a, b, y))
        {
            case CpuDevice cpu: CpuMultiply.Forward(cpu, a, b, y); break;
            case GpuDevice gpu: GpuMultiply.Forward(gpu, a, b, y); break;
            case ReferenceDevice: ReferenceForward(a, b, y); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
