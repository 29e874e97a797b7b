namespace Delora.Core;

/// <summary>
/// Philox4x32-10: random numbers by position. Any element of any stream is a pure function of (seed, index), so that a kernel needs no
/// state, the numbers are the same on every device and with any number of threads, and a backward pass computes its dropout mask again
/// instead of keeping it.
/// <para>
/// Element <c>e</c> of the sequence of a seed is word <c>e mod 4</c> of block <c>⌊e / 4⌋</c>. A block is the four words that ten Philox
/// rounds make of the 128-bit counter <c>(block low, block high, 0, 0)</c> under the key <c>(seed low, seed high)</c>. Element <c>i</c> of
/// the stream (seed, offset) is element <c>offset + i</c> of the seed's sequence (modulo 2^64).
/// </para>
/// <para>
/// Plain 32- and 64-bit arithmetic only, no arrays and no intrinsics: the same methods are compiled into the GPU kernels.
/// </para>
/// </summary>
/// <remarks>
/// Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3; constants and test vectors as in the
/// authors' Random123.
/// </remarks>
public static class Philox
{
    internal const uint Multiplier0 = 0xD2511F53, Multiplier1 = 0xCD9E8D57;
    internal const uint Weyl0 = 0x9E3779B9, Weyl1 = 0xBB67AE85;
    internal const int RoundCount = 10;

    /// <summary>
    /// The four words of block <paramref name="counter"/>: elements <c>4·counter … 4·counter + 3</c> of the seed's sequence.
    /// </summary>
    /// <param name="seed">The key: low word first.</param>
    /// <param name="counter">Number of the block; the upper 64 bits of Philox's counter are zero.</param>
    /// <param name="r0">Word 0.</param>
    /// <param name="r1">Word 1.</param>
    /// <param name="r2">Word 2.</param>
    /// <param name="r3">Word 3.</param>
    public static void Block(ulong seed, ulong counter, out uint r0, out uint r1, out uint r2, out uint r3) =>
        Rounds((uint)seed, (uint)(seed >> 32), (uint)counter, (uint)(counter >> 32), 0, 0, out r0, out r1, out r2, out r3);

    /// <summary>Element <paramref name="index"/> of the seed's sequence, all 32 bits of it.</summary>
    /// <remarks>Computes a whole block: where four neighbors are needed, <see cref="Block"/> costs a quarter.</remarks>
    public static uint Word(ulong seed, ulong index)
    {
        Block(seed, index >> 2, out uint r0, out uint r1, out uint r2, out uint r3);
        uint lane = (uint)index & 3;
        return lane == 0 ? r0 : lane == 1 ? r1 : lane == 2 ? r2 : r3;
    }

    /// <summary>Element <paramref name="index"/> as a number in [0, 1): <see cref="ToUniform"/> of <see cref="Word"/>.</summary>
    public static float Uniform(ulong seed, ulong index) => ToUniform(Word(seed, index));

    /// <summary>Maps 32 random bits to [0, 1): <c>⌊word / 2^8⌋ · 2^−24</c>, which float32 holds exactly; never 1.</summary>
    // Through int: from uint the compiler goes through float64, which not every GPU has. 24 bits fit.
    public static float ToUniform(uint word) => (int)(word >> 8) * (1.0f / 16777216.0f);

    /// <summary>Ten rounds over a full 128-bit counter and a 64-bit key.</summary>
    internal static void Rounds(
        uint key0, uint key1, uint c0, uint c1, uint c2, uint c3, out uint r0, out uint r1, out uint r2, out uint r3)
    {
        for (int round = 0; round < RoundCount; round++)
        {
            ulong product0 = (ulong)Multiplier0 * c0, product1 = (ulong)Multiplier1 * c2;
            c0 = (uint)(product1 >> 32) ^ c1 ^ key0;
            c1 = (uint)product1;
            c2 = (uint)(product0 >> 32) ^ c3 ^ key1;
            c3 = (uint)product0;
            key0 = unchecked(key0 + Weyl0);
            key1 = unchecked(key1 + Weyl1);
        }
        r0 = c0;
        r1 = c1;
        r2 = c2;
        r3 = c3;
    }
}
