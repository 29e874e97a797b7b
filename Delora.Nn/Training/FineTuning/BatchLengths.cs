using System.Numerics;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// How long a training batch is made on a device. On CUDA few lengths are better than short ones: a step is recorded for each, and replayed when it comes
/// again. What is filled up is padding, which no loss and no gradient sees.
/// </summary>
internal static class BatchLengths
{
    private const int LeastStep = 8;

    /// <summary>The length itself, or on CUDA the next of eight in a power of two.</summary>
    /// <param name="device">Where the batch is computed, with graphs or without: both give the same bits.</param>
    /// <param name="longest">Positions of the longest row.</param>
    /// <param name="most">The most that a row can have.</param>
    internal static int On(Device device, int longest, int most)
    {
        if (device is not GpuDevice { Kind: DeviceKind.Cuda } || longest < 1) return longest;
        int step = Math.Max(LeastStep, 1 << BitOperations.Log2((uint)longest) >> 3);
        return (int)Math.Max(longest, Math.Min(most, ((long)longest + step - 1) / step * step));
    }
}
