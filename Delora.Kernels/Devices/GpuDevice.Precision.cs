using Delora.Core;

namespace Delora.Kernels;

// How matrix products round.
public sealed partial class GpuDevice
{
    // Multiplication of matrices of bfloat16 and tf32, and copies past the registers.
    private const int TensorCoreCapability = 80;

    // What PtxWriter's texts say; that of CUDA 11.4.
    private const int TensorCorePtx = 74;

    /// <summary>
    /// How matrix products round their operands, from the next product on: <c>MatMul</c>, and those of linear layers with and without a low-rank
    /// branch and of the last layer with its loss, forward and backward. With 16 bits also attention's, whose probabilities are rounded, too.
    /// Everything else stays in float32.
    /// </summary>
    /// <exception cref="DeviceException">Anything but <see cref="MatMulPrecision.Float32"/> on a device that is no CUDA card of compute capability
    /// 8.0 or later, with a driver for CUDA 11.4 or later.</exception>
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
            if (value != MatMulPrecision.Float32 && Target is { PtxVersion: < TensorCorePtx and var version })
                throw new DeviceException(
                    $"{Name} multiplies in {name} with a driver for CUDA 11.4 or later; the one it has reads PTX {version / 10}.{version % 10}, not 7.4");
            field = value;
        }
    }
}
