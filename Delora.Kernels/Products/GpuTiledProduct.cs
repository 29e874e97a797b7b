using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>
/// The matrix product of GPU devices: c = f(op(a)·op(b) + op(a₂)·op(b₂) + bias) + before. The second pair of operands is the low-rank branch: more
/// steps of the same inner loop, so that c is written once. A group computes a tile of c from tiles of the operands in shared memory, a
/// thread 4 × 4 of it in registers, unrolled by hand because ILGPU unrolls nothing. The order of every sum depends on the shapes and the device's kind alone.
/// </summary>
internal static class GpuTiledProduct
{
    // Keeps the float4 reads of the tiles aligned and spreads their transposed writes over the banks.
    private const int Padding = 4;

    /// <summary>
    /// One product with a branch of <paramref name="rank"/> more inner steps, and an activation of the sum. b is float32, or a frozen weight as it is kept.
    /// </summary>
    internal static void Run<TLayout, TMask, TActivation>(GpuDevice gpu, MatMulSize size, int rank, in Operands operands, DropoutMask mask)
        where TLayout : struct, IGpuLayout where TMask : struct, IGpuProductMask where TActivation : struct, ICpuUnaryOp
    {
        if (operands.IsCoded) Run<TLayout, TMask, CodedRight, TActivation>(gpu, size, rank, operands, mask);
        else Run<TLayout, TMask, PlainRight, TActivation>(gpu, size, rank, operands, mask);
    }

    /// <summary>One product with a given tile.</summary>
    internal static void Launch<TTile, TLayout, TMask, TRight, TActivation>(GpuDevice gpu, MatMulSize size, int rank, in Operands operands, DropoutMask mask)
        where TTile : struct, IGpuTile where TLayout : struct, IGpuLayout where TMask : struct, IGpuProductMask where TRight : struct, IGpuRight
        where TActivation : struct, ICpuUnaryOp
    {
        int tileRows = Tiles(size.M, TTile.Rows), tileColumns = Tiles(size.N, TTile.Columns);
        long groups = checked((long)size.Batch * tileRows * tileColumns);
        if (groups == 0) return;
        var measures = new Measures
        {
            M = size.M,
            N = size.N,
            K = size.K,
            Rank = rank,
            TileRows = tileRows,
            TileColumns = tileColumns,
            HasBefore = operands.Before.Length > 0 ? 1 : 0,
            IsKept = operands.Kept.Length > 0 ? 1 : 0,
            HasBias = operands.HasBias ? 1 : 0,
        };
        bool masked = TMask.OnLeft || TMask.OnRight || TMask.OnBranch;
        gpu.LaunchGroups(Kernel<TTile, TLayout, TMask, TRight, TActivation>, new KernelConfig(checked((int)groups), Threads<TTile>()),
            operands.A, operands.B, operands.Codes, operands.BranchA, operands.BranchB, operands.Bias, operands.C, operands.Before, operands.Kept, measures,
            masked ? new GpuDropoutMask(gpu, mask, operands.C) : new GpuDropoutMask(operands.C));
    }

    private static void Run<TLayout, TMask, TRight, TActivation>(GpuDevice gpu, MatMulSize size, int rank, in Operands operands, DropoutMask mask)
        where TLayout : struct, IGpuLayout where TMask : struct, IGpuProductMask where TRight : struct, IGpuRight where TActivation : struct, ICpuUnaryOp
    {
        int threads = gpu.MaxThreadsPerGroup;
        if (threads < 64) Launch<SmallTile, TLayout, TMask, TRight, TActivation>(gpu, size, rank, operands, mask);
        else if (size.N <= TallTile.Columns) Launch<TallTile, TLayout, TMask, TRight, TActivation>(gpu, size, rank, operands, mask);
        else if (size.M <= WideTile.Rows) Launch<WideTile, TLayout, TMask, TRight, TActivation>(gpu, size, rank, operands, mask);
        else if (threads < 256) Launch<SmallTile, TLayout, TMask, TRight, TActivation>(gpu, size, rank, operands, mask);
        else Launch<SquareTile, TLayout, TMask, TRight, TActivation>(gpu, size, rank, operands, mask);
    }

    private static int Tiles(int length, int tile) => (int)(((long)length + tile - 1) / tile);

    private static int Threads<TTile>() where TTile : struct, IGpuTile => TTile.Rows * TTile.Columns / 16;

    private static void Kernel<TTile, TLayout, TMask, TRight, TActivation>(
        ArrayView<float> a, ArrayView<float> b, GpuCodes codes, ArrayView<float> branchA, ArrayView<float> branchB, ArrayView<float> bias,
        ArrayView<float> c, ArrayView<float> before, ArrayView<float> kept, Measures size, GpuDropoutMask given)
        where TTile : struct, IGpuTile where TLayout : struct, IGpuLayout where TMask : struct, IGpuProductMask where TRight : struct, IGpuRight
        where TActivation : struct, ICpuUnaryOp
    {
        ArrayView<float> left = SharedMemory.Allocate<float>(TTile.Depth * (TTile.Rows + Padding));
        ArrayView<float> right = SharedMemory.Allocate<float>(TTile.Depth * (TTile.Columns + Padding));
        DropoutMask mask = default;
        if (TMask.OnLeft || TMask.OnRight || TMask.OnBranch) mask = given.Here();
        int tile = Grid.IdxX;
        int column = tile % size.TileColumns * TTile.Columns;
        int row = tile / size.TileColumns % size.TileRows * TTile.Rows;
        long batch = tile / size.TileColumns / size.TileRows;
        long aStart = batch * size.M * size.K, bStart = batch * size.K * size.N, cStart = batch * size.M * size.N;
        int threadRow = row + ThreadRow<TTile>(), threadColumn = column + ThreadColumn<TTile>();

        GpuAccumulator sums = default;
        sums = Accumulate<TTile, TLayout, NoMask, PlainRight>(sums, branchA, branchB, codes, left, right, size.M, size.N, size.Rank, row, column, mask);
        if (TMask.OnBranch)
        {
            sums.Row0 = Masked(sums.Row0, mask, threadRow, threadColumn, size.N);
            sums.Row1 = Masked(sums.Row1, mask, threadRow + 1, threadColumn, size.N);
            sums.Row2 = Masked(sums.Row2, mask, threadRow + 2, threadColumn, size.N);
            sums.Row3 = Masked(sums.Row3, mask, threadRow + 3, threadColumn, size.N);
        }
        ArrayView<float> batchA = a.SubView(aStart, (long)size.M * size.K), batchB = TRight.IsCoded ? b : b.SubView(bStart, (long)size.K * size.N);
        sums = Accumulate<TTile, TLayout, TMask, TRight>(sums, batchA, batchB, codes, left, right, size.M, size.N, size.K, row, column, mask);

        StoreRow<TActivation>(c, bias, before, kept, cStart, sums.Row0, threadRow, threadColumn, size);
        StoreRow<TActivation>(c, bias, before, kept, cStart, sums.Row1, threadRow + 1, threadColumn, size);
        StoreRow<TActivation>(c, bias, before, kept, cStart, sums.Row2, threadRow + 2, threadColumn, size);
        StoreRow<TActivation>(c, bias, before, kept, cStart, sums.Row3, threadRow + 3, threadColumn, size);
    }

    private static int ThreadRow<TTile>() where TTile : struct, IGpuTile => Group.IdxX / (TTile.Columns / 4) * 4;

    private static int ThreadColumn<TTile>() where TTile : struct, IGpuTile => Group.IdxX % (TTile.Columns / 4) * 4;

    /// <summary>sums + op(a)·op(b) for this thread's 4 × 4 of the tile at (row, column).</summary>
    private static GpuAccumulator Accumulate<TTile, TLayout, TMask, TRight>(
        GpuAccumulator sums, ArrayView<float> a, ArrayView<float> b, GpuCodes codes, ArrayView<float> left, ArrayView<float> right,
        int m, int n, int k, int row, int column, DropoutMask mask)
        where TTile : struct, IGpuTile where TLayout : struct, IGpuLayout where TMask : struct, IGpuProductMask where TRight : struct, IGpuRight
    {
        int leftStride = TTile.Rows + Padding, rightStride = TTile.Columns + Padding;
        ArrayView<GpuFloat4> left4 = left.Cast<GpuFloat4>(), right4 = right.Cast<GpuFloat4>();
        int leftThread = ThreadRow<TTile>() / 4, rightThread = ThreadColumn<TTile>() / 4;
        for (int start = 0; start < k; start += TTile.Depth)
        {
            // Neighboring threads read neighboring addresses, whichever way the operand lies.
            for (int e = Group.IdxX; e < TTile.Rows * TTile.Depth; e += Threads<TTile>())
            {
                int depth = TLayout.LeftByRow ? e % TTile.Depth : e / TTile.Rows;
                int line = TLayout.LeftByRow ? e / TTile.Depth : e % TTile.Rows;
                int i = row + line, p = start + depth;
                float value = 0f;
                if (i < m && p < k)
                {
                    long index = TLayout.LeftByRow ? (long)i * k + p : (long)p * m + i;
                    value = a[index];
                    if (TMask.OnLeft) value *= mask.Factor(index);
                }
                left[depth * leftStride + line] = value;
            }
            for (int e = Group.IdxX; e < TTile.Columns * TTile.Depth; e += Threads<TTile>())
            {
                int depth = TLayout.RightByColumn ? e % TTile.Depth : e / TTile.Columns;
                int line = TLayout.RightByColumn ? e / TTile.Depth : e % TTile.Columns;
                int j = column + line, p = start + depth;
                float value = 0f;
                if (j < n && p < k)
                {
                    long index = TLayout.RightByColumn ? (long)j * k + p : (long)p * n + j;
                    value = TRight.IsCoded ? codes.At(TLayout.RightByColumn ? j : p, TLayout.RightByColumn ? p : j) : b[index];
                    if (TMask.OnRight) value *= mask.Factor(index);
                }
                right[depth * rightStride + line] = value;
            }
            Group.Barrier();
            for (int p = 0; p < TTile.Depth; p += 4)
            {
                int l = p * (leftStride / 4) + leftThread, r = p * (rightStride / 4) + rightThread;
                sums = GpuAccumulator.Add(sums, left4[l], right4[r]);
                sums = GpuAccumulator.Add(sums, left4[l + leftStride / 4], right4[r + rightStride / 4]);
                sums = GpuAccumulator.Add(sums, left4[l + 2 * (leftStride / 4)], right4[r + 2 * (rightStride / 4)]);
                sums = GpuAccumulator.Add(sums, left4[l + 3 * (leftStride / 4)], right4[r + 3 * (rightStride / 4)]);
            }
            Group.Barrier();
        }
        return sums;
    }

    /// <summary>Four neighbors of a row under the mask: one block of random numbers has their factors, or two.</summary>
    private static GpuFloat4 Masked(GpuFloat4 value, DropoutMask mask, int row, int column, int n)
    {
        ulong element = unchecked(mask.Stream.Offset + (ulong)((long)row * n + column));
        Philox.Block(mask.Stream.Seed, element >> 2, out uint w0, out uint w1, out uint w2, out uint w3);
        int further = (int)(element & 3);
        if (further != 0)
        {
            Philox.Block(mask.Stream.Seed, unchecked(element + 3) >> 2, out uint n0, out uint n1, out uint n2, out _);
            (w0, w1, w2, w3) = further == 1 ? (w1, w2, w3, n0) : further == 2 ? (w2, w3, n0, n1) : (w3, n0, n1, n2);
        }
        return new()
        {
            X = value.X * Factor(mask, w0),
            Y = value.Y * Factor(mask, w1),
            Z = value.Z * Factor(mask, w2),
            W = value.W * Factor(mask, w3),
        };
    }

    private static float Factor(DropoutMask mask, uint word) => Philox.ToUniform(word) >= mask.Probability ? mask.Scale : 0f;

    private static void StoreRow<TActivation>(
        ArrayView<float> c, ArrayView<float> bias, ArrayView<float> before, ArrayView<float> kept, long start, GpuFloat4 value, int row, int column,
        Measures size)
        where TActivation : struct, ICpuUnaryOp
    {
        if (row >= size.M) return;
        long index = start + (long)row * size.N + column;
        Store<TActivation>(c, bias, before, kept, index, value.X, column, size);
        Store<TActivation>(c, bias, before, kept, index + 1, value.Y, column + 1, size);
        Store<TActivation>(c, bias, before, kept, index + 2, value.Z, column + 2, size);
        Store<TActivation>(c, bias, before, kept, index + 3, value.W, column + 3, size);
    }

    private static void Store<TActivation>(
        ArrayView<float> c, ArrayView<float> bias, ArrayView<float> before, ArrayView<float> kept, long index, float value, int column, Measures size)
        where TActivation : struct, ICpuUnaryOp
    {
        if (column >= size.N) return;
        if (size.HasBias != 0) value += bias[column];
        if (size.IsKept != 0) kept[index] = value;
        value = default(TActivation).Apply(new GpuValue(value)).Value;
        if (size.HasBefore != 0) value += before[index];
        c[index] = value;
    }

    /// <summary>Sizes and flags as kernels take them.</summary>
    internal struct Measures
    {
        internal int M, N, K, Rank, TileRows, TileColumns, HasBefore, IsKept, HasBias;
    }

    /// <summary>The operands as kernels take them; what is absent is an empty view.</summary>
    internal readonly struct Operands
    {
        internal Operands(
            GpuDevice gpu, Tensor a, Tensor b, Tensor c, ProductBranch? branch = null, Tensor? bias = null, Tensor? before = null, Tensor? kept = null,
            WeightScales? scales = null)
        {
            A = gpu.View<float>(a);
            C = gpu.View<float>(c);
            ArrayView<float> none = C.SubView(0, 0);
            (B, Codes) = b.DType == DType.Float32 ? (gpu.View<float>(b), new GpuCodes(C)) : (none, new GpuCodes(gpu, b, scales, C));
            BranchA = branch is { } left ? gpu.View<float>(left.A) : none;
            BranchB = branch is { } right ? gpu.View<float>(right.B) : none;
            Bias = bias is null ? none : gpu.View<float>(bias);
            Before = before is null ? none : gpu.View<float>(before);
            Kept = kept is null ? none : gpu.View<float>(kept);
            HasBias = bias is not null;
            IsCoded = b.DType != DType.Float32;
        }

        internal ArrayView<float> A { get; }

        internal ArrayView<float> B { get; }

        internal GpuCodes Codes { get; }

        internal ArrayView<float> BranchA { get; }

        internal ArrayView<float> BranchB { get; }

        internal ArrayView<float> Bias { get; }

        internal ArrayView<float> C { get; }

        /// <summary>What is added to the result: c itself, or a residual.</summary>
        internal ArrayView<float> Before { get; }

        /// <summary>Receives what the activation is of.</summary>
        internal ArrayView<float> Kept { get; }

        internal bool HasBias { get; }

        internal bool IsCoded { get; }
    }
}
