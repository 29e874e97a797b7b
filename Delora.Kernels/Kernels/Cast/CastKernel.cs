using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Another storage type for the same numbers, on one device: between the device's floating-point type (float32; float64 on the reference
/// device), bfloat16 and float16, in every direction. Rounds to nearest, ties to even; what is too large becomes infinity, NaN stays NaN.
/// </summary>
public static partial class CastKernel
{
    private const string Op = "Cast";

    /// <summary>y = x, stored as y's type.</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="y">Output, the shape of x.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="DTypeException">A type is none of the three.</exception>
    public static void Forward(Tensor x, Tensor y)
    {
        Check.SameShape(Op, x, y);
        Device device = Check.OneDevice(Op, x, y);
        CheckTypes(x.DType, y.DType, device);
        if (x.DType == y.DType)
        {
            y.CopyFrom(x);
            return;
        }
        switch (device)
        {
            case CpuDevice cpu: CpuCast.Forward(cpu, x, y); break;
            case GpuDevice gpu: GpuCast.Forward(gpu, x, y); break;
            case ReferenceDevice: ReferenceForward(x, y); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    internal static void CheckTypes(DType from, DType to, Device device)
    {
        foreach (DType dtype in (ReadOnlySpan<DType>)[from, to])
            if (dtype != device.FloatType && dtype is not (DType.BFloat16 or DType.Float16))
                throw new DTypeException(
                    $"{Op}: from {from.Name} to {to.Name}; on {device.Name} there are {device.FloatType.Name}, bfloat16 and float16");
    }
}
