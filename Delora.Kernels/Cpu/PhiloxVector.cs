using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>Four blocks of <see cref="Philox"/> at once: the same words, a quarter of the instructions.</summary>
internal static class PhiloxVector
{
    /// <summary>Elements that one call makes.</summary>
    internal const int Count = 16;

    /// <summary>Elements 4·<paramref name="counter"/> … 4·<paramref name="counter"/> + 15 of the seed's sequence, in order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static (Vector256<uint> First, Vector256<uint> Second) Words(ulong seed, ulong counter)
    {
        // Every 64-bit lane holds one block's word in its lower half. The upper half is garbage that the multiplication does not read. The
        // sequence has 2^64 elements, so the number of a block has 62 bits.
        Vector256<ulong> block = (Vector256.Create(counter) + Vector256.Create(0ul, 1, 2, 3)) & Vector256.Create(ulong.MaxValue >> 2);
        Vector256<ulong> c0 = block, c1 = block >> 32, c2 = default, c3 = default;
        Vector256<ulong> multiplier0 = Vector256.Create((ulong)Philox.Multiplier0),
            multiplier1 = Vector256.Create((ulong)Philox.Multiplier1);
        uint key0 = (uint)seed, key1 = (uint)(seed >> 32);
        for (int round = 0; round < Philox.RoundCount; round++)
        {
            Vector256<ulong> product0 = Multiply(c0, multiplier0), product1 = Multiply(c2, multiplier1);
            c0 = (product1 >> 32) ^ c1 ^ Vector256.Create((ulong)key0);
            c1 = product1;
            c2 = (product0 >> 32) ^ c3 ^ Vector256.Create((ulong)key1);
            c3 = product0;
            key0 = unchecked(key0 + Philox.Weyl0);
            key1 = unchecked(key1 + Philox.Weyl1);
        }
        // Lane i: words 0 and 1 of block i, and words 2 and 3.
        Vector256<ulong> even = (c0 & Vector256.Create(0xFFFF_FFFFul)) | (c1 << 32), odd = (c2 & Vector256.Create(0xFFFF_FFFFul)) | (c3 << 32);
        Vector256<ulong> second = Vector256.Create(0ul, ulong.MaxValue, 0, ulong.MaxValue);
        Vector256<ulong> lower = Vector256.ConditionalSelect(
            second, Vector256.Shuffle(odd, Vector256.Create(0ul, 0, 1, 1)), Vector256.Shuffle(even, Vector256.Create(0ul, 0, 1, 1)));
        Vector256<ulong> upper = Vector256.ConditionalSelect(
            second, Vector256.Shuffle(odd, Vector256.Create(2ul, 2, 3, 3)), Vector256.Shuffle(even, Vector256.Create(2ul, 2, 3, 3)));
        return (lower.AsUInt32(), upper.AsUInt32());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<ulong> Multiply(Vector256<ulong> a, Vector256<ulong> b) =>
        Avx2.IsSupported ? Avx2.Multiply(a.AsUInt32(), b.AsUInt32()) : (a & Vector256.Create(0xFFFF_FFFFul)) * b;
}
