using System.Numerics;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Sizes of work that comes again and again with others. On CUDA few sizes are better than small ones: work is recorded for each, and replayed when it comes
/// again. With graphs or without, so that both give the same bits.
/// </summary>
internal static class RecordedSizes
{
    private const int LeastStep = 8;

    /// <summary>Whether a device rounds sizes up.</summary>
    internal static bool AreRounded(Device device) => device is GpuDevice { Target: not null };

    /// <summary>The size itself, or on CUDA the next of <paramref name="steps"/> in a power of two.</summary>
    /// <param name="device">Where the work is done.</param>
    /// <param name="size">What is needed.</param>
    /// <param name="most">The most that there can be.</param>
    /// <param name="steps">A power of two.</param>
    internal static int Of(Device device, int size, int most, int steps)
    {
        if (size < 1 || !AreRounded(device)) return size;
        int step = Math.Max(LeastStep, (1 << BitOperations.Log2((uint)size)) / steps);
        return (int)Math.Max(size, Math.Min(most, ((long)size + step - 1) / step * step));
    }
}
