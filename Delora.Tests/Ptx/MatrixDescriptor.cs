namespace Delora.Tests.Ptx;

/// <summary>
/// Where the numbers of a matrix in shared memory lie for a product of a warpgroup (PTX ISA, "Matrix Descriptor Format" and "Strides"): in chunks of 16 bytes,
/// along k, or along the rows of A (columns of B) where the matrix is transposed.
/// </summary>
internal readonly struct MatrixDescriptor
{
    private readonly ulong _start, _leading, _stride;
    private readonly PtxSwizzle _swizzle;
    private readonly bool _transposed;

    internal MatrixDescriptor(PtxWarp warp, ulong bits, bool transposed)
    {
        _start = (bits & 0x3FFF) << 4;
        _leading = (bits >> 16 & 0x3FFF) << 4;
        _stride = (bits >> 32 & 0x3FFF) << 4;
        _transposed = transposed;
        _swizzle = (bits >> 62) switch { 0 => PtxSwizzle.None, 1 => PtxSwizzle.Bytes128, 2 => PtxSwizzle.Bytes64, _ => PtxSwizzle.Bytes32 };
        if ((bits >> 49 & 7) != 0) throw warp.Fault<PtxLimitFault>(0, "a matrix whose base offset is not 0 is not known");
        if ((bits & 0x3FF1C000C000C000) != 0) throw warp.Fault<PtxLimitFault>(0, $"0x{bits:x} is no matrix descriptor: reserved bits are set");
    }

    /// <summary>
    /// The shared address of a chunk. Along k: of line <paramref name="line"/> (a row of A, a column of B), the chunk <paramref name="chunk"/> of its numbers.
    /// Transposed: of the numbers at <paramref name="line"/> along k, the chunk of lines.
    /// </summary>
    internal ulong Chunk(int line, int chunk)
    {
        ulong width = 1UL << (int)_swizzle, inner = (ulong)(line % 8), outer = (ulong)(line / 8), at = (ulong)chunk;
        // In units of chunks of 16 bytes: rows of a pattern have as many as its width.
        ulong offset = (_transposed, _swizzle) switch
        {
            (false, PtxSwizzle.None) => inner * 16 + outer * _stride + at * _leading,
            (false, _) => inner * width * 16 + outer * _stride + at * 16,
            (true, PtxSwizzle.None) => at * _stride + inner * 16 + outer * _leading,
            (true, _) => at % width * 16 + at / width * _leading + inner * width * 16 + outer * _stride,
        };
        return PtxTensorMap.Permute(_start + offset, _swizzle);
    }
}
