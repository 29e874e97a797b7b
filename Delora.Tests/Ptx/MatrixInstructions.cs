namespace Delora.Tests.Ptx;

/// <summary>
/// Loading, storing and transposing 8 × 8 matrices of 16-bit numbers by a warp (PTX ISA, "ldmatrix", "stmatrix", "movmatrix"). Lane 8i + r gives the address
/// of row r of matrix i; lane 4r + c has the numbers 2c and 2c + 1 of row r or, transposed, of column r.
/// </summary>
internal static class MatrixInstructions
{
    internal static IEnumerable<(string, Func<PtxDecoder, PtxOp>)> All() =>
        [("ldmatrix", d => Decode(d, true)), ("stmatrix", d => Decode(d, false)), ("movmatrix", Transpose)];

    private static PtxOp Decode(PtxDecoder d, bool loads)
    {
        d.Need("sync");
        d.Need("aligned");
        d.Need("m8n8");
        int count = d.OneOf("x1", "x2", "x4") is { } number ? number[1] - '0' : throw d.Error("the number of matrices is missing");
        bool transposed = d.Flag("trans");
        if (d.OneOf("shared", "shared::cta") is null) throw d.Error("only shared memory is known here");
        d.Need("b16");
        d.Count(2);
        PtxDecoder.Place place = d.Address(loads ? 1 : 0);
        return loads ? new LoadOp(d.Targets(0, count, PtxType.B32), place, transposed) : new StoreOp(d.Sources(1, count, PtxType.B32), place, transposed);
    }

    private static PtxOp Transpose(PtxDecoder d)
    {
        d.Need("sync");
        d.Need("aligned");
        d.Need("m8n8");
        d.Need("trans");
        d.Need("b16");
        d.Count(2);
        return new TransposeOp(d.Target(0, PtxType.B32), d.Source(1, PtxType.B32));
    }

    /// <summary>Row and column of the number that a lane has in its lower or upper half.</summary>
    private static (int Row, int Column) Place(int lane, int half, bool transposed) =>
        transposed ? (lane % 4 * 2 + half, lane / 4) : (lane / 4, lane % 4 * 2 + half);

    private sealed unsafe class LoadOp(int[] targets, PtxDecoder.Place place, bool transposed) : WarpCollectiveOp
    {
        protected override void Run(PtxWarp warp, uint mask)
        {
            PtxSharedMemory shared = warp.Group.Shared;
            ulong* at = warp.Read(place.Slot, mask), addresses = stackalloc ulong[32];
            for (int lane = 0; lane < 32; lane++) addresses[lane] = at[lane] + place.Offset;
            ushort** rows = stackalloc ushort*[8];
            for (int matrix = 0; matrix < targets.Length; matrix++)
            {
                for (int row = 0; row < 8; row++) rows[row] = (ushort*)shared.Locate(warp, matrix * 8 + row, addresses[matrix * 8 + row], 16);
                ulong* y = warp.Write(targets[matrix], mask);
                for (int lane = 0; lane < 32; lane++)
                {
                    (int row, int column) = Place(lane, 0, transposed);
                    (int nextRow, int nextColumn) = Place(lane, 1, transposed);
                    // A word is read by the lane that gets its first number.
                    if (!transposed) shared.Note(warp, lane, (byte*)(rows[row] + column), 4, PtxAccess.Read);
                    else if (column % 2 == 0)
                    {
                        shared.Note(warp, lane, (byte*)(rows[row] + column), 4, PtxAccess.Read);
                        shared.Note(warp, lane, (byte*)(rows[nextRow] + column), 4, PtxAccess.Read);
                    }
                    y[lane] = rows[row][column] | (ulong)rows[nextRow][nextColumn] << 16;
                }
            }
        }
    }

    private sealed unsafe class StoreOp(int[] sources, PtxDecoder.Place place, bool transposed) : WarpCollectiveOp
    {
        protected override void Run(PtxWarp warp, uint mask)
        {
            PtxSharedMemory shared = warp.Group.Shared;
            ulong* at = warp.Read(place.Slot, mask);
            ushort** rows = stackalloc ushort*[8];
            for (int matrix = 0; matrix < sources.Length; matrix++)
            {
                for (int row = 0; row < 8; row++) rows[row] = (ushort*)shared.Locate(warp, matrix * 8 + row, at[matrix * 8 + row] + place.Offset, 16);
                ulong* x = warp.Read(sources[matrix], mask);
                for (int lane = 0; lane < 32; lane++)
                    for (int half = 0; half < 2; half++)
                    {
                        (int row, int column) = Place(lane, half, transposed);
                        shared.Note(warp, lane, (byte*)(rows[row] + column), 2, PtxAccess.Write);
                        rows[row][column] = (ushort)(x[lane] >> (16 * half));
                    }
            }
        }
    }

    private sealed unsafe class TransposeOp(int target, int source) : WarpCollectiveOp
    {
        protected override void Run(PtxWarp warp, uint mask)
        {
            ushort* matrix = stackalloc ushort[64];
            ulong* x = warp.Read(source, mask);
            for (int lane = 0; lane < 32; lane++)
                for (int half = 0; half < 2; half++)
                {
                    (int row, int column) = Place(lane, half, false);
                    matrix[row * 8 + column] = (ushort)(x[lane] >> (16 * half));
                }
            ulong* y = warp.Write(target, mask);
            for (int lane = 0; lane < 32; lane++)
            {
                (int row, int column) = Place(lane, 0, true);
                y[lane] = matrix[row * 8 + column] | (ulong)matrix[(row + 1) * 8 + column] << 16;
            }
        }
    }
}
