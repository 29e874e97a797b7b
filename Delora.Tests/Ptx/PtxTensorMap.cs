using System.Runtime.InteropServices;

namespace Delora.Tests.Ptx;

/// <summary>How bytes of a tile are permuted in shared memory: bits 4 and up of an address are combined with bits 7 and up.</summary>
internal enum PtxSwizzle { None, Bytes32, Bytes64, Bytes128 }

/// <summary>
/// What a tensor map says, in the machine's own form, as that of a card is not documented: 128 bytes, the numbers of <c>cuTensorMapEncodeTiled</c>. The first
/// dimension lies densely; strides, in bytes, are those of the others.
/// </summary>
internal sealed record PtxTensorMap(ulong Address, int ElementBytes, long[] Sizes, long[] Strides, int[] Box, PtxSwizzle Swizzle)
{
    internal const int Bytes = 128;
    private const uint Mark = 0x50616D54;

    /// <summary>The bytes that a kernel is given, as a parameter or in global memory, at a multiple of 64.</summary>
    internal byte[] Encode()
    {
        var bytes = new byte[Bytes];
        Span<long> numbers = MemoryMarshal.Cast<byte, long>(bytes.AsSpan());
        numbers[0] = Mark | (long)ElementBytes << 32 | (long)Swizzle << 40 | (long)Sizes.Length << 48;
        numbers[1] = (long)Address;
        for (int i = 0; i < Sizes.Length; i++)
        {
            numbers[2 + i] = Sizes[i];
            numbers[7 + i] = Box[i];
            if (i > 0) numbers[11 + i] = Strides[i - 1];
        }
        return bytes;
    }

    /// <summary>Reads it again; null where there is none.</summary>
    internal static unsafe PtxTensorMap? Decode(byte* bytes)
    {
        var numbers = new ReadOnlySpan<long>(bytes, Bytes / sizeof(long));
        int rank = (int)(numbers[0] >> 48);
        if ((uint)numbers[0] != Mark || rank is < 1 or > 5) return null;
        return new((ulong)numbers[1], (int)(numbers[0] >> 32) & 0xFF, numbers.Slice(2, rank).ToArray(), numbers.Slice(12, rank - 1).ToArray(),
            [.. numbers.Slice(7, rank).ToArray().Select(size => (int)size)], (PtxSwizzle)(numbers[0] >> 40 & 0xFF));
    }

    /// <summary>Where in shared memory the byte at an address lies that is written or read through a swizzle.</summary>
    internal static ulong Permute(ulong address, PtxSwizzle swizzle) => address ^ (address >> 3 & (((1UL << (int)swizzle) - 1) << 4));
}
