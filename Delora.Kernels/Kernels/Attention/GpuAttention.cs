using Delora.Core;
using ILGPU;
using ILGPU.Runtime;

namespace Delora.Kernels;

/// <summary>
/// The ILGPU implementation of <see cref="AttentionKernel"/>. A group of B·B threads works on tiles of B queries by B keys, one score a
/// thread, with what the tile needs in shared memory: a group for each tile of queries (y, dq), or of keys (dk and dv), so that no two
/// write to one place. Where the device multiplies in 16 bits, <see cref="TensorCoreAttention"/> takes over.
/// </summary>
internal static partial class GpuAttention
{
    internal static void Forward(
        GpuDevice gpu, Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor y, Tensor logSumExp, in AttentionSizes sizes,
        float scale)
    {
        if (TensorCoreAttention.TypeOf(gpu, sizes, scale, y) is { } type)
        {
            TensorCoreAttention.Forward(gpu, type, query, key, value, mask, y, logSumExp, sizes, scale);
            return;
        }
        var operands = new Operands(gpu, query, key, value, mask, sizes, scale);
        (KernelConfig config, int tile) = Config(gpu, sizes, sizes.Seq, sizes.Heads, 3, 1);
        gpu.LaunchGroups(ForwardKernel, config, operands, tile, gpu.View<float>(y), gpu.View<float>(logSumExp));
    }

    /// <summary>A group for each tile of <paramref name="rows"/>, and the largest tile side whose arrays fit the shared memory.</summary>
    private static (KernelConfig Config, int Tile) Config(
        GpuDevice gpu, in AttentionSizes sizes, int rows, int heads, int vectors, int scores)
    {
        int tile = 1, group = GpuReduce.GroupSize(gpu);
        long room = gpu.MaxSharedBytesPerGroup / sizeof(float);
        while (4 * tile * tile <= group && Floats(2 * tile, sizes.Dim, vectors, scores) <= room)
            tile *= 2;
        long groups = checked((long)sizes.Batch * heads * ((rows + tile - 1L) / tile));
        var shared = SharedMemoryConfig.RequestDynamic<float>(checked((int)Floats(tile, sizes.Dim, vectors, scores)));
        return (new KernelConfig(checked((int)groups), tile * tile, shared), tile);
    }

    /// <summary>Tiles of rows of a head, each a float longer than dim to spread the banks, and tiles of scores.</summary>
    private static long Floats(int tile, int dim, int vectors, int scores) => (long)vectors * tile * (dim + 1) + scores * tile * tile;

    private static void ForwardKernel(Operands of, int tile, ArrayView<float> y, ArrayView<float> logSumExp)
    {
        ArrayView<float> shared = SharedMemory.GetDynamic<float>();
        int stride = of.Sizes.Dim + 1, queries = 0, keys = tile * stride, sums = 2 * keys, scores = 3 * keys;
        int i = Group.IdxX / tile, j = Group.IdxX % tile;
        (int batch, int head, int first) = Place(of.Sizes.Heads, of.Sizes.Seq, tile);
        int t = first + i, keyHead = head / of.Sizes.HeadsPerKey, end = of.Sizes.Visible(Min(first + tile, of.Sizes.Seq) - 1);
        LoadQueries(of, of.Query, shared, queries, batch, first, head, tile);
        for (int c = j; c < of.Sizes.Dim; c += tile) shared[sums + i * stride + c] = 0;
        float max = float.NegativeInfinity, sum = 0;
        for (int key = of.Sizes.FirstKey(first); key < end; key += tile)
        {
            Group.Barrier(); // the tile before this one may still be read
            LoadKeys(of, of.Key, shared, keys, batch, key, keyHead, tile);
            Group.Barrier();
            float s = of.Sees(batch, t, key + j)
                ? of.Scale * Dot(shared, queries + i * stride, keys + j * stride, of.Sizes.Dim) : float.NegativeInfinity;
            shared[scores + i * tile + j] = s;
            Group.Barrier();
            // Every thread of a row finds the same maximum and the same sum.
            float before = max;
            for (int x = 0; x < tile; x++)
            {
                float other = shared[scores + i * tile + x];
                max = other > max ? other : max;
            }
            float shift = max == float.NegativeInfinity ? 0f : max;
            float factor = GpuReduce.Exp(before - shift), p = GpuReduce.Exp(s - shift), total = 0;
            Group.Barrier();
            shared[scores + i * tile + j] = p;
            Group.Barrier();
            for (int x = 0; x < tile; x++) total += shared[scores + i * tile + x];
            sum = sum * factor + total;
            int count = Min(tile, end - key);
            long from = of.Sizes.KeyRow(batch, key, keyHead), step = (long)of.Sizes.KvHeads * of.Sizes.Dim;
            for (int c = j; c < of.Sizes.Dim; c += tile)
            {
                float value = shared[sums + i * stride + c] * factor;
                for (int x = 0; x < count; x++) value += shared[scores + i * tile + x] * of.Value[from + x * step + c];
                shared[sums + i * stride + c] = value;
            }
        }
        if (t < of.Sizes.Seq)
        {
            float inverse = sum == 0 ? 0f : 1f / sum;
            long row = of.Sizes.QueryRow(batch, t, head);
            for (int c = j; c < of.Sizes.Dim; c += tile) y[row + c] = shared[sums + i * stride + c] * inverse;
            if (j == 0)
                logSumExp[of.Sizes.StatisticsRow(batch, head) + t] =
                    sum == 0 ? float.NegativeInfinity : max + SimdMath.Log(new GpuValue(sum)).Value;
        }
    }

    /// <summary>The group's batch row and head, and its first row of <paramref name="rows"/>.</summary>
    private static (int Batch, int Head, int First) Place(int heads, int rows, int tile)
    {
        int tiles = (rows + tile - 1) / tile, rest = Grid.IdxX / tiles;
        return (rest / heads, rest % heads, Grid.IdxX % tiles * tile);
    }

    private static void LoadQueries(
        Operands of, ArrayView<float> from, ArrayView<float> shared, int at, int batch, int first, int head, int tile)
    {
        long step = (long)of.Sizes.Heads * of.Sizes.Dim;
        Load(from, of.Sizes.QueryRow(batch, first, head), step, Min(tile, of.Sizes.Seq - first), shared, at, of.Sizes.Dim, tile);
    }

    private static void LoadKeys(
        Operands of, ArrayView<float> from, ArrayView<float> shared, int at, int batch, int first, int keyHead, int tile)
    {
        long step = (long)of.Sizes.KvHeads * of.Sizes.Dim;
        Load(from, of.Sizes.KeyRow(batch, first, keyHead), step, Min(tile, of.Sizes.Keys - first), shared, at, of.Sizes.Dim, tile);
    }

    /// <summary>Rows of a head into a tile; zeros where there are none.</summary>
    private static void Load(ArrayView<float> from, long start, long step, int rows, ArrayView<float> shared, int at, int dim, int tile)
    {
        for (int e = Group.IdxX; e < tile * dim; e += Group.DimX)
        {
            int row = e / dim, c = e % dim;
            float value = 0;
            if (row < rows) value = from[start + row * step + c];
            shared[at + row * (dim + 1) + c] = value;
        }
    }

    private static float Dot(ArrayView<float> shared, int a, int b, int dim)
    {
        float sum = 0;
        for (int c = 0; c < dim; c++) sum += shared[a + c] * shared[b + c];
        return sum;
    }

    private static int Min(int a, int b) => a < b ? a : b;

    /// <summary>What the kernels read; without a mask its view is empty.</summary>
    internal readonly struct Operands
    {
        internal Operands(GpuDevice gpu, Tensor query, Tensor key, Tensor value, Tensor? mask, in AttentionSizes sizes, float scale)
        {
            Query = gpu.View<float>(query);
            Key = gpu.View<float>(key);
            Value = gpu.View<float>(value);
            Mask = mask is null ? Query.Cast<int>().SubView(0, 0) : gpu.View<int>(mask);
            HasMask = mask is null ? 0 : 1;
            Sizes = sizes;
            Scale = scale;
        }

        internal ArrayView<float> Query { get; }

        internal ArrayView<float> Key { get; }

        internal ArrayView<float> Value { get; }

        internal ArrayView<int> Mask { get; }

        internal int HasMask { get; }

        internal AttentionSizes Sizes { get; }

        internal float Scale { get; }

        /// <summary>Whether there is a query t that may attend to key j.</summary>
        internal bool Sees(int batch, int t, int j)
        {
            if (t >= Sizes.Seq || j >= Sizes.Visible(t) || j < Sizes.FirstKey(t)) return false;
            return HasMask == 0 || Mask[(long)batch * Sizes.Capacity + j] != 0;
        }
    }
}
