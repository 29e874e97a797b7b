namespace Delora.Core;

/// <summary>
/// A place in a seed's sequence from which an op takes its random numbers: element <c>i</c> of the stream is element <c>Offset + i</c> of
/// <see cref="Philox"/>'s sequence for <c>Seed</c>. A value: it can be kept by a function for its backward pass and given to a GPU kernel.
/// </summary>
/// <param name="Seed">The key.</param>
/// <param name="Offset">Element of the seed's sequence that is the stream's element 0.</param>
public readonly record struct RandomStream(ulong Seed, ulong Offset)
{
    /// <summary>Element <paramref name="index"/> of the stream, all 32 bits of it.</summary>
    public uint Word(long index) => Philox.Word(Seed, unchecked(Offset + (ulong)index));

    /// <summary>Element <paramref name="index"/> of the stream in [0, 1).</summary>
    public float Uniform(long index) => Philox.Uniform(Seed, unchecked(Offset + (ulong)index));
}
