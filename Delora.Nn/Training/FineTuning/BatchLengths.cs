using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// How long a training batch is made on a device (<see cref="RecordedSizes"/>). What is filled up is padding, which no loss and no gradient sees.
/// </summary>
internal static class BatchLengths
{
    /// <summary>The length itself, or on CUDA the next of eight in a power of two.</summary>
    /// <param name="device">Where the batch is computed.</param>
    /// <param name="longest">Positions of the longest row.</param>
    /// <param name="most">The most that a row can have.</param>
    internal static int On(Device device, int longest, int most) => RecordedSizes.Of(device, longest, most, 8);
}
