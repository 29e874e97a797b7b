using Delora.Core;

namespace Delora.Kernels;

/// <summary>Elementwise sum of two tensors of one shape: y = a + b. Also how gradients accumulate: y may be a or b.</summary>
public static partial class AddKernel
{
    private const string Op = "Add";

    /// <summary>y = a + b.</summary>
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
            case CpuDevice cpu: CpuAdd.Forward(cpu, a, b, y); break;
            case GpuDevice gpu: GpuAdd.Forward(gpu, a, b, y); break;
            case ReferenceDevice: ReferenceForward(a, b, y); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
