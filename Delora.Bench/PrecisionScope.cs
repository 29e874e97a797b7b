using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench;

/// <summary>
/// For as long as it lives a device multiplies matrices in a precision (<see cref="GpuDevice.MatMulPrecision"/>), or in float32 where it has no such.
/// </summary>
internal sealed class PrecisionScope : IDisposable
{
    private readonly GpuDevice? _gpu;
    private readonly MatMulPrecision _before;

    internal PrecisionScope(Device device, MatMulPrecision wanted)
    {
        _gpu = device as GpuDevice;
        if (_gpu is null) return;
        _before = _gpu.MatMulPrecision;
        try
        {
            _gpu.MatMulPrecision = wanted;
        }
        catch (DeviceException)
        {
            _gpu.MatMulPrecision = MatMulPrecision.Float32;
        }
        Current = _gpu.MatMulPrecision;
    }

    /// <summary>The precision that the device has.</summary>
    internal MatMulPrecision Current { get; } = MatMulPrecision.Float32;

    /// <summary>Makes numbers that a precision has: products of two of them are exact in float32, whatever rounds them.</summary>
    internal static void Round(Span<float> values, MatMulPrecision precision)
    {
        foreach (ref float value in values)
            value = precision switch
            {
                MatMulPrecision.BFloat16 => Masked(value, 0xFFFF0000),
                MatMulPrecision.TensorFloat32 => Masked(value, 0xFFFFE000),
                MatMulPrecision.Float16 => (float)(Half)value,
                _ => value,
            };

        static float Masked(float value, uint mask) => BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(value) & mask);
    }

    public void Dispose()
    {
        if (_gpu is { IsDisposed: false }) _gpu.MatMulPrecision = _before;
    }
}
