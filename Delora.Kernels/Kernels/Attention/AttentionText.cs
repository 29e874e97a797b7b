using System.Globalization;
using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>Which of the texts of attention on tensor cores: what is a constant of the text, not an argument of a launch.</summary>
/// <param name="Type">The 16-bit type of the operands.</param>
/// <param name="Dim">Dimensions of a head, a multiple of 8.</param>
/// <param name="Causal">Whether a query sees no later key.</param>
/// <param name="HasMask">Whether there is a mask of padding.</param>
/// <param name="RowTiles">Tiles of 16 rows that a warp computes at a time: rows of queries, or of keys for their gradients.</param>
internal sealed record AttentionVariant(MmaType Type, int Dim, bool Causal, bool HasMask, int RowTiles)
{
    /// <summary>Rows of the tile of a group.</summary>
    internal int Rows => AttentionText.Warps * 16 * RowTiles;

    /// <summary>The name of an entry for this variant.</summary>
    internal string Entry(string kernel) => string.Create(
        CultureInfo.InvariantCulture,
        $"attention_{kernel}_{(Type == MmaType.BFloat16 ? "bf16" : "f16")}_{Dim}_{Rows}{(Causal ? "_causal" : "")}{(HasMask ? "_mask" : "")}");
}

/// <summary>
/// What the texts of attention on tensor cores share. A group of 4 warps holds tiles of rows of a head in shared memory, 16 bits a number. Rows are padded to a
/// multiple of 16 numbers with zeros, and then by 16 bytes: 8 rows of a matrix of <c>ldmatrix</c> then lie in different banks. A warp computes 16 or 32 rows of
/// its group's tile against all rows of the other tile, so that sums over a row stay within four lanes.
/// </summary>
internal sealed class AttentionText
{
    internal const int Warps = 4;
    internal const int Threads = 32 * Warps;

    /// <summary>The largest head; more would not fit the registers.</summary>
    internal const int MaxDim = 128;

    internal AttentionText(PtxWriter writer, AttentionVariant variant)
    {
        W = writer;
        Variant = variant;
        Padded = (variant.Dim + 15) / 16 * 16;
        Stride = 2 * Padded + 16;
        Thread = writer.ThreadX();
        Lane = (Thread & 31).As("lane");
        Warp = (Thread >> 5).As("warp");
        Quad = (Lane >> 2).As("quad");
        Pair = ((Lane & 3) << 1).As("pair");
        RowOfLane = writer.MultiplyAdd(Lane & 15, Stride, (Lane >> 4) << 4).As("row_of_lane");
        ColumnOfLane = writer.MultiplyAdd((Lane & 7) + ((Lane >> 4) << 3), Stride, ((Lane >> 3) & 1) << 4).As("column_of_lane");
    }

    internal PtxWriter W { get; }

    internal AttentionVariant Variant { get; }

    /// <summary>Numbers of a row in shared memory that take part in products.</summary>
    internal int Padded { get; }

    /// <summary>Bytes from row to row in shared memory: an odd number of 16 bytes.</summary>
    internal int Stride { get; }

    internal B32 Thread { get; }

    internal B32 Lane { get; }

    internal B32 Warp { get; }

    /// <summary>Row of an accumulator's first two numbers, lane / 4; the other two are 8 rows further.</summary>
    internal B32 Quad { get; }

    /// <summary>Column of an accumulator's first and third number, 2 · (lane mod 4); the others are in the next.</summary>
    internal B32 Pair { get; }

    /// <summary>A lane's address for <c>ldmatrix</c> of a left operand, or transposed of a right one: rows 0 to 15, then the next 8 columns.</summary>
    internal B32 RowOfLane { get; }

    /// <summary>A lane's address for <c>ldmatrix</c> of a right operand that lies by columns: 8 rows, their next 8 columns, then the next 8 rows.</summary>
    internal B32 ColumnOfLane { get; }

    /// <summary>Whether the left operand's fragments of all steps fit in registers beside the rest.</summary>
    internal bool KeepsLeft => Variant.RowTiles * Padded <= 128;

    /// <summary>Lays out a tile of rows, <paramref name="stages"/> times.</summary>
    internal PtxShared Tile(string name, int rows, int stages = 1) => W.Shared(name, checked(rows * Stride * stages));

    /// <summary>Bytes from one row of a head to the next: all heads of a position lie side by side.</summary>
    internal B32 RowBytes(B32 heads, string name) => (heads * (2 * Variant.Dim)).As(name);

    /// <summary>The first row of a head, at [batch, 0, head, 0].</summary>
    internal B64 Head(B64 start, B32 batch, B32 rows, B32 head, B32 rowBytes) =>
        (start + W.Long(batch) * W.Long(rows) * W.Long(rowBytes)).Plus(head, 2 * Variant.Dim);

    /// <summary>
    /// Begins to copy rows [first, first + rows) of a head into a tile; rows from <paramref name="end"/> on become zeros.
    /// </summary>
    internal void Copy(B32 tile, B64 head, B32 rowBytes, int rows, B32 first, B32 end, string what)
    {
        int chunks = Padded / 8, valid = Variant.Dim / 8, total = rows * chunks;
        using PtxEnd scope = W.Scope($"copy {rows} rows of {what}");
        B64 from = head + W.Long(first) * W.Long(rowBytes);
        B32 left = end - first;
        for (int start = 0; start < total; start += Threads)
        {
            B32 place = Thread + start, row = place / chunks, chunk = place % chunks;
            Pred exists = row < left;
            if (valid < chunks) exists &= chunk < valid;
            B64 source = W.SelectLong(exists, from.Plus(row, rowBytes).Plus(chunk, 16), head);
            B32 target = W.MultiplyAdd(row, Stride, W.MultiplyAdd(chunk, 16, tile));
            B32 bytes = W.Select(exists, 16, 0);
            if (total - start >= Threads) W.CopyAsync(target.At(), source.At(), 16, bytes);
            else
            {
                Pred isPlace = place < total;
                using (W.When(isPlace)) W.CopyAsync(target.At(), source.At(), 16, bytes);
            }
        }
    }

    /// <summary>The warp's fragments of a left operand for a step of 16 columns, for each tile of 16 rows.</summary>
    /// <param name="warpRows">The address of the warp's first row plus <see cref="RowOfLane"/>.</param>
    /// <param name="step">The step.</param>
    internal B32[][] Left(B32 warpRows, int step)
    {
        var fragments = new B32[Variant.RowTiles][];
        for (int m = 0; m < fragments.Length; m++)
        {
            fragments[m] = W.New<B32>("left", 4);
            W.LoadMatrices(warpRows.At(m * 16 * Stride + step * 32), false, fragments[m]);
        }
        return fragments;
    }

    /// <summary>sums += left · rowsᵀ, with the rows of a tile as the columns of the right operand: scores of queries and keys.</summary>
    /// <param name="sums">For each tile of 16 rows, and 8 columns, 4 numbers.</param>
    /// <param name="left">The left operand's fragments of a step.</param>
    /// <param name="rows">The address of the tile's first row plus <see cref="ColumnOfLane"/>.</param>
    internal void AddScores(F32[][][] sums, Func<int, B32[][]> left, B32 rows)
    {
        for (int step = 0; step < Padded / 16; step++)
        {
            using PtxEnd scope = W.Scope(string.Create(CultureInfo.InvariantCulture, $"dimensions {16 * step} to {16 * step + 15}"));
            B32[][] a = left(step);
            for (int n = 0; n < sums[0].Length; n += 2)
            {
                B32[] b = W.New<B32>("right", 4);
                W.LoadMatrices(rows.At(n * 8 * Stride + step * 32), false, b);
                for (int m = 0; m < sums.Length; m++)
                {
                    W.Mma(Variant.Type, sums[m][n], a[m], b[..2]);
                    W.Mma(Variant.Type, sums[m][n + 1], a[m], b[2..]);
                }
            }
        }
    }

    /// <summary>sums += weights · rows: the weighted sum of a tile's rows, with weights that are the results of an earlier product.</summary>
    /// <param name="sums">For each tile of 16 rows, and 8 dimensions, 4 numbers.</param>
    /// <param name="weights">For each tile of 16 rows, and 8 rows of the tile, 4 numbers.</param>
    /// <param name="rows">The address of the tile's first row plus <see cref="RowOfLane"/>.</param>
    internal void AddWeighted(F32[][][] sums, F32[][][] weights, B32 rows)
    {
        for (int step = 0; step < weights[0].Length / 2; step++)
        {
            using PtxEnd scope = W.Scope(string.Create(CultureInfo.InvariantCulture, $"rows {16 * step} to {16 * step + 15}"));
            // Two accumulators side by side are the fragment of a left operand, once they are rounded to 16 bits.
            B32[][] a = [.. weights.Select(tile => Pack(tile[2 * step], tile[2 * step + 1]))];
            for (int n = 0; n < sums[0].Length; n += 2)
            {
                B32[] b = W.New<B32>("right", 4);
                W.LoadMatrices(rows.At(step * 16 * Stride + n * 16), true, b);
                for (int m = 0; m < sums.Length; m++)
                {
                    W.Mma(Variant.Type, sums[m][n], a[m], b[..2]);
                    W.Mma(Variant.Type, sums[m][n + 1], a[m], b[2..]);
                }
            }
        }
    }

    /// <summary>New accumulators: for each tile of 16 rows and 8 columns 4 numbers.</summary>
    internal F32[][][] Sums(string name, int columns)
    {
        var sums = new F32[Variant.RowTiles][][];
        for (int m = 0; m < sums.Length; m++)
        {
            sums[m] = new F32[columns / 8][];
            for (int n = 0; n < sums[m].Length; n++) sums[m][n] = W.New<F32>(name, 4);
        }
        return sums;
    }

    /// <summary>Sets all accumulators to 0.</summary>
    internal void Clear(F32[][][] sums)
    {
        foreach (F32 sum in sums.SelectMany(tile => tile).SelectMany(numbers => numbers)) W.Set(sum, 0f);
    }

    /// <summary>Stores rows of a head, float32, times <paramref name="scale"/> where there is one.</summary>
    /// <param name="sums">For each tile of 16 rows, and 8 dimensions, 4 numbers.</param>
    /// <param name="target">[batch, rows, heads, dim].</param>
    /// <param name="batch">Row of the batch.</param>
    /// <param name="rows">Rows of a batch row.</param>
    /// <param name="heads">Heads.</param>
    /// <param name="head">The head.</param>
    /// <param name="first">The first row of the tile.</param>
    /// <param name="end">Rows from here on are not stored.</param>
    /// <param name="scale">The factor.</param>
    internal void Store(F32[][][] sums, B64 target, B32 batch, B32 rows, B32 heads, B32 head, B32 first, B32 end, F32? scale)
    {
        for (int m = 0; m < sums.Length; m++)
            for (int half = 0; half < 2; half++)
            {
                using PtxEnd scope = W.Scope("store a row");
                Pred exists = RowIndex(first, m, half, out B32 row) < end;
                using (W.If(exists, "row"))
                {
                    B64 place = RowPlace(target, batch, rows, heads, head, row);
                    for (int n = 0; n < Variant.Dim / 8; n++)
                    {
                        F32 low = sums[m][n][2 * half], high = sums[m][n][2 * half + 1];
                        if (scale is null) W.StoreGlobal(place.At(32 * n), low, high);
                        else W.StoreGlobal(place.At(32 * n), low * scale, high * scale);
                    }
                }
            }
    }

    /// <summary>The row of the thread's numbers in a tile of 16 rows: the first two, or the other two.</summary>
    internal B32 RowIndex(B32 first, int tile, int half, out B32 row) =>
        row = (first + W.MultiplyAdd(Warp, 16 * Variant.RowTiles, Quad) + (16 * tile + 8 * half)).As("row");

    /// <summary>Where the thread's first pair of numbers of a float32 row [batch, row, head] lies.</summary>
    internal B64 RowPlace(B64 target, B32 batch, B32 rows, B32 heads, B32 head, B32 row)
    {
        B64 place = target + (W.Long(batch) * W.Long(rows) + W.Long(row)) * W.Long(heads * (4 * Variant.Dim));
        return place.Plus(head, 4 * Variant.Dim).Plus(Pair, 4).As("place");
    }

    /// <summary>2^x with the hardware's approximation (2 ulp).</summary>
    internal F32 Exp2(F32 x) => W.Result<F32>("ex2.approx.ftz.f32", x);

    private B32[] Pack(F32[] first, F32[] second)
    {
        string type = Variant.Type == MmaType.BFloat16 ? "bf16" : "f16";
        return [W.Pack(type, first[0], first[1]), W.Pack(type, first[2], first[3]), W.Pack(type, second[0], second[1]), W.Pack(type, second[2], second[3])];
    }
}
