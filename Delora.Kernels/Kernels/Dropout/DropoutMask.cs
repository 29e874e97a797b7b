using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The mask of a dropout, given by where its random numbers come from and never stored: element i (row-major) is kept, and multiplied by 1/(1−p),
/// where the uniform number i of the stream is at least p; else it is zero. The same on every device.
/// </summary>
/// <param name="Probability">p in [0, 1): the share of elements that become zero.</param>
/// <param name="Stream">Where the random numbers come from.</param>
public readonly record struct DropoutMask(float Probability, RandomStream Stream)
{
    /// <summary>What kept elements are multiplied by: 1/(1−p).</summary>
    public float Scale => 1f / (1f - Probability);

    /// <summary>The factor of element <paramref name="index"/>: <see cref="Scale"/> or 0.</summary>
    public float Factor(long index) => Stream.Uniform(index) >= Probability ? Scale : 0f;

    /// <summary>Checks that the probability makes sense.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not in [0, 1).</exception>
    public DropoutMask Validated() =>
        Probability is >= 0 and < 1 ? this : throw new ArgumentOutOfRangeException(nameof(Probability), Probability, "a dropout probability lies in [0, 1)");
}
