using Delora.Core;
using ILGPU;
using ILGPU.Runtime;

namespace Delora.Kernels;

internal static partial class GpuAttention
{
    internal static void Backward(
        GpuDevice gpu, Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor y, Tensor logSumExp, Tensor dy,
        Tensor? dquery, Tensor? dkey, Tensor? dvalue, in AttentionSizes sizes, float scale)
    {
        var operands = new Operands(gpu, query, key, value, mask, sizes, scale);
        using Tensor products = Tensor.Empty(logSumExp.Shape, DType.Float32, gpu, "Attention.products");
        ArrayView<float> g = gpu.View<float>(dy), z = gpu.View<float>(logSumExp), d = gpu.View<float>(products);
        gpu.Launch(ProductsKernel, products.ElementCount, gpu.View<float>(y), g, d, sizes.Seq, sizes.Heads, sizes.Dim);
        if (TensorCoreAttention.TypeOf(gpu, sizes, scale, dquery, dkey, dvalue) is { } type)
        {
            TensorCoreAttention.Backward(
                gpu, type, query, key, value, mask, logSumExp, products, dy, dquery, dkey, dvalue, sizes, scale);
            return;
        }
        if (dquery is not null)
        {
            (KernelConfig config, int tile) = Config(gpu, sizes, sizes.Seq, sizes.Heads, 5, 1);
            gpu.LaunchGroups(QueryGradientKernel, config, operands, tile, g, z, d, gpu.View<float>(dquery));
        }
        if (dkey is not null || dvalue is not null)
        {
            (KernelConfig config, int tile) = Config(gpu, sizes, sizes.Capacity, sizes.KvHeads, 6, 2);
            ArrayView<float> dk = dkey is null ? g.SubView(0, 0) : gpu.View<float>(dkey);
            ArrayView<float> dv = dvalue is null ? g.SubView(0, 0) : gpu.View<float>(dvalue);
            gpu.LaunchGroups(
                KeyGradientKernel, config, operands, tile, g, z, d, dk, dv, (dkey is null ? 0 : 1) | (dvalue is null ? 0 : 2));
        }
    }

    /// <summary>D = dy · y, a thread for each [batch, head, query].</summary>
    private static void ProductsKernel(
        Index1D index, ArrayView<float> y, ArrayView<float> dy, ArrayView<float> d, int seq, int heads, int dim)
    {
        int t = index % seq, rest = index / seq;
        long row = (((long)(rest / heads) * seq + t) * heads + rest % heads) * dim;
        float sum = 0;
        for (int c = 0; c < dim; c++) sum += dy[row + c] * y[row + c];
        d[index] = sum;
    }

    private static void QueryGradientKernel(
        Operands of, int tile, ArrayView<float> dy, ArrayView<float> z, ArrayView<float> d, ArrayView<float> dquery)
    {
        ArrayView<float> shared = SharedMemory.GetDynamic<float>();
        int stride = of.Sizes.Dim + 1, queries = 0, gradients = tile * stride, keys = 2 * gradients, values = 3 * gradients;
        int sums = 4 * gradients, scores = 5 * gradients;
        int i = Group.IdxX / tile, j = Group.IdxX % tile;
        (int batch, int head, int first) = Place(of.Sizes.Heads, of.Sizes.Seq, tile);
        int t = first + i, keyHead = head / of.Sizes.HeadsPerKey, end = of.Sizes.Visible(Min(first + tile, of.Sizes.Seq) - 1);
        LoadQueries(of, of.Query, shared, queries, batch, first, head, tile);
        LoadQueries(of, dy, shared, gradients, batch, first, head, tile);
        for (int c = j; c < of.Sizes.Dim; c += tile) shared[sums + i * stride + c] = 0;
        for (int key = of.Sizes.FirstKey(first); key < end; key += tile)
        {
            Group.Barrier();
            LoadKeys(of, of.Key, shared, keys, batch, key, keyHead, tile);
            LoadKeys(of, of.Value, shared, values, batch, key, keyHead, tile);
            Group.Barrier();
            float p = Probability(of, shared, queries + i * stride, keys + j * stride, z, batch, head, t, key + j);
            shared[scores + i * tile + j] =
                ScoreGradient(of, shared, p, gradients + i * stride, values + j * stride, d, batch, head, t);
            Group.Barrier();
            for (int c = j; c < of.Sizes.Dim; c += tile)
            {
                float value = shared[sums + i * stride + c];
                for (int x = 0; x < tile; x++) value += shared[scores + i * tile + x] * shared[keys + x * stride + c];
                shared[sums + i * stride + c] = value;
            }
        }
        if (t < of.Sizes.Seq)
        {
            long row = of.Sizes.QueryRow(batch, t, head);
            for (int c = j; c < of.Sizes.Dim; c += tile) dquery[row + c] = shared[sums + i * stride + c];
        }
    }

    /// <summary>dk and dv of a tile of keys, over the heads of queries that share it, in order.</summary>
    private static void KeyGradientKernel(
        Operands of, int tile, ArrayView<float> dy, ArrayView<float> z, ArrayView<float> d, ArrayView<float> dkey, ArrayView<float> dvalue,
        int wanted)
    {
        ArrayView<float> shared = SharedMemory.GetDynamic<float>();
        int stride = of.Sizes.Dim + 1, keys = 0, values = tile * stride, queries = 2 * values, gradients = 3 * values;
        int keySums = 4 * values, valueSums = 5 * values, scores = 6 * values, probabilities = scores + tile * tile;
        int i = Group.IdxX / tile, j = Group.IdxX % tile;
        (int batch, int keyHead, int first) = Place(of.Sizes.KvHeads, of.Sizes.Capacity, tile);
        LoadKeys(of, of.Key, shared, keys, batch, first, keyHead, tile);
        LoadKeys(of, of.Value, shared, values, batch, first, keyHead, tile);
        for (int c = j; c < of.Sizes.Dim; c += tile)
        {
            shared[keySums + i * stride + c] = 0;
            shared[valueSums + i * stride + c] = 0;
        }
        // Keys beyond the valid ones have no queries.
        int start = first < of.Sizes.Keys ? of.Sizes.FirstQuery(first) : of.Sizes.Seq, last = Min(first + tile, of.Sizes.Keys) - 1;
        int endQuery = last < 0 ? 0 : of.Sizes.EndQuery(last);
        for (int head = keyHead * of.Sizes.HeadsPerKey; head < (keyHead + 1) * of.Sizes.HeadsPerKey; head++)
            for (int query = start; query < endQuery; query += tile)
            {
                Group.Barrier();
                LoadQueries(of, of.Query, shared, queries, batch, query, head, tile);
                LoadQueries(of, dy, shared, gradients, batch, query, head, tile);
                Group.Barrier();
                float p = Probability(of, shared, queries + j * stride, keys + i * stride, z, batch, head, query + j, first + i);
                shared[probabilities + i * tile + j] = p;
                shared[scores + i * tile + j] =
                    ScoreGradient(of, shared, p, gradients + j * stride, values + i * stride, d, batch, head, query + j);
                Group.Barrier();
                for (int c = j; c < of.Sizes.Dim; c += tile)
                {
                    float keySum = shared[keySums + i * stride + c], valueSum = shared[valueSums + i * stride + c];
                    for (int x = 0; x < tile; x++)
                    {
                        keySum += shared[scores + i * tile + x] * shared[queries + x * stride + c];
                        valueSum += shared[probabilities + i * tile + x] * shared[gradients + x * stride + c];
                    }
                    shared[keySums + i * stride + c] = keySum;
                    shared[valueSums + i * stride + c] = valueSum;
                }
            }
        if (first + i < of.Sizes.Capacity)
        {
            long row = of.Sizes.KeyRow(batch, first + i, keyHead);
            for (int c = j; c < of.Sizes.Dim; c += tile)
            {
                if ((wanted & 1) != 0) dkey[row + c] = shared[keySums + i * stride + c];
                if ((wanted & 2) != 0) dvalue[row + c] = shared[valueSums + i * stride + c];
            }
        }
    }

    /// <summary>p = e^(s − z), 0 where query t does not see the key.</summary>
    private static float Probability(
        Operands of, ArrayView<float> shared, int query, int key, ArrayView<float> z, int batch, int head, int t, int j)
    {
        if (!of.Sees(batch, t, j)) return 0;
        float s = of.Scale * Dot(shared, query, key, of.Sizes.Dim);
        return GpuReduce.Exp(s - z[of.Sizes.StatisticsRow(batch, head) + t]);
    }

    /// <summary>scale · p (dy · v − D); 0 where there is no query t.</summary>
    private static float ScoreGradient(
        Operands of, ArrayView<float> shared, float p, int gradient, int value, ArrayView<float> d, int batch, int head, int t) =>
        t < of.Sizes.Seq
            ? of.Scale * p * (Dot(shared, gradient, value, of.Sizes.Dim) - d[of.Sizes.StatisticsRow(batch, head) + t]) : 0f;
}
