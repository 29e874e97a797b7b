using Delora.Core;
using ILGPU;
using ILGPU.Runtime;

namespace Delora.Kernels;

/// <summary>
/// A <see cref="DropoutMask"/> as GPU kernels take it. In recorded work (<see cref="GpuGraph"/>) the place in the random sequence is read when the
/// kernel runs, so that each replay has masks of its own.
/// </summary>
internal readonly struct GpuDropoutMask
{
    private readonly DropoutMask _mask;
    private readonly ArrayView<ulong> _start;

    /// <summary>The mask of a launch.</summary>
    /// <param name="gpu">The device.</param>
    /// <param name="mask">The mask.</param>
    /// <param name="any">Any view of the device: a kernel cannot take a view of nothing.</param>
    internal GpuDropoutMask(GpuDevice gpu, DropoutMask mask, ArrayView<float> any)
    {
        (_start, ulong recorded) = GpuGraph.RandomStart(gpu, mask.Stream, any.SubView(0, 0).Cast<ulong>());
        _mask = new(mask.Probability, new(mask.Stream.Seed, unchecked(mask.Stream.Offset - recorded)));
    }

    /// <summary>The address of what is added to a stream's offset when the kernel runs, 0 for nothing, and what is to be taken from the offset for that.</summary>
    /// <param name="gpu">The device.</param>
    /// <param name="stream">Where the random numbers come from.</param>
    /// <param name="any">Any tensor of the device.</param>
    internal static (nint Start, ulong Recorded) Start(GpuDevice gpu, RandomStream stream, Tensor any)
    {
        (ArrayView<ulong> start, ulong recorded) = GpuGraph.RandomStart(gpu, stream, gpu.View<float>(any).SubView(0, 0).Cast<ulong>());
        return (start.Length == 0 ? 0 : start.LoadEffectiveAddressAsPtr(), recorded);
    }

    /// <summary>No mask.</summary>
    /// <param name="any">Any view of the device.</param>
    internal GpuDropoutMask(ArrayView<float> any) => _start = any.SubView(0, 0).Cast<ulong>();

    /// <summary>The mask where it is now; called once by each thread.</summary>
    internal DropoutMask Here() => _start.Length == 0
        ? _mask : new(_mask.Probability, new(_mask.Stream.Seed, unchecked(_mask.Stream.Offset + _start[0])));
}
