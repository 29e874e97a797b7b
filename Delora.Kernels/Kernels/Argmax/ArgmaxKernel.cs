using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The index of the largest element over the last dimension, for instance the predicted class; the first where several are equal. NaN
/// counts as larger than every number, as in torch.
/// </summary>
[NoDerivative("An index is a step function of the elements: its derivative is zero wherever it exists.")]
public static partial class ArgmaxKernel
{
    private const string Op = "Argmax";

    /// <summary>y_i = the first j with the largest x_ij.</summary>
    /// <param name="x">[.., columns], columns > 0.</param>
    /// <param name="y">Output, int32 [..].</param>
    /// <exception cref="ShapeException">The shapes do not fit, or there are rows without elements.</exception>
    /// <exception cref="DTypeException">y is not int32.</exception>
    public static void Forward(Tensor x, Tensor y)
    {
        Check.HasShape(Op, y, RowShape.Of(Op, x));
        Check.HasDType(Op, y, DType.Int32);
        Check.Shapes(x.Shape.Columns > 0 || y.ElementCount == 0, $"{Op}: x {x.Shape} has rows without elements");
        Check.OneDevice(Op, x, y);
        switch (Check.Floats(Op, x))
        {
            case CpuDevice cpu: CpuArgmax.Forward(cpu, x, y); break;
            case GpuDevice gpu: GpuArgmax.Forward(gpu, x, y); break;
            case ReferenceDevice: ReferenceForward(x, y); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
