using Delora.Core;

namespace Delora.Kernels;

// How matrix products round.
public sealed partial class GpuDevice
{
    // Multiplication of matrices of bfloat16 and tf32, and copies past the registers.
    private const int TensorCoreCapability = 80;

    /// <summary>
    /// How matrix products round their operands, from the next product on: <c>MatMul</c>, and those of linear layers with and without a low-rank
    /// branch and of the last layer with its loss, forward and backward. With 16 bits also attention's, whose probabilities are rounded, too.
    /// Everything else stays in float32.
    /// </summary>
    /// <exception cref="DeviceException">Anything but <see cref="MatMulPrecision.Float32"/> on a device that is no CUDA card of compute capability
    /// 8.0 or later.</exception>
    public MatMulPrecision MatMulPrecision
    {
        get;
        set
        {
            string name = value.Name;
            if (value != MatMulPrecision.Float32 && !(Target is { } target && target.ComputeCapability >= TensorCoreCapability))
                throw new DeviceException(
                    $"{Name} multiplies in float32 only, not in {name}: that is for CUDA cards of compute capability 8.0 or later"
                    + (Target is { } card ? $", this one has {card.Major}.{card.Minor}" : $", this device is {Kind}"));
            field = value;
        }
    }
}
