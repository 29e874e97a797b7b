using ILGPU;
using ILGPU.Runtime;

namespace Delora.Kernels;

/// <summary>
/// A buffer of an accelerator without memory, behind all views of a device that only counts: views have lengths, which launches are sized by, and
/// no kernel runs.
/// </summary>
internal sealed class GpuPlannedBuffer(Accelerator accelerator) : MemoryBuffer(accelerator, Length, elementSize: 1)
{
    private new const long Length = 1L << 60;

    /// <inheritdoc/>
    protected override void MemSet(AcceleratorStream stream, byte value, in ArrayView<byte> targetView) => throw Refused();

    /// <inheritdoc/>
    protected override void CopyFrom(AcceleratorStream stream, in ArrayView<byte> sourceView, in ArrayView<byte> targetView) => throw Refused();

    /// <inheritdoc/>
    protected override void CopyTo(AcceleratorStream stream, in ArrayView<byte> sourceView, in ArrayView<byte> targetView) => throw Refused();

    /// <inheritdoc/>
    protected override void DisposeAcceleratorObject(bool disposing)
    {
        // There is nothing behind it.
    }

    private static InvalidOperationException Refused() => new("A planned buffer has no memory.");
}
