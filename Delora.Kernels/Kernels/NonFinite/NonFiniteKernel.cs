using Delora.Core;

namespace Delora.Kernels;

/// <summary>Counts the elements that are NaN or infinite, over all tensors. The count stays on the device: nobody waits for it.</summary>
[NoDerivative("a count is constant almost everywhere")]
public static partial class NonFiniteKernel
{
    private const string Op = "NonFinite";

    /// <summary>count = number of NaN and infinite elements; 0 over no tensors; at most <see cref="int.MaxValue"/>.</summary>
    /// <param name="count">Output [1], int32.</param>
    /// <param name="tensors">Any shapes.</param>
    /// <exception cref="ShapeException">count is not [1].</exception>
    /// <exception cref="DTypeException">count is not int32.</exception>
    public static void Forward(Tensor count, params ReadOnlySpan<Tensor> tensors)
    {
        Check.HasShape(Op, count, [1]);
        Check.HasDType(Op, count, DType.Int32);
        foreach (Tensor tensor in tensors)
        {
            Check.OneDevice(Op, count, tensor);
            Check.Floats(Op, tensor);
        }
        switch (Check.OneDevice(Op, count))
        {
            case CpuDevice cpu: CpuNonFinite.Forward(cpu, tensors, count); break;
            case GpuDevice gpu: GpuNonFinite.Forward(gpu, tensors, count); break;
            case ReferenceDevice: ReferenceForward(tensors, count); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
