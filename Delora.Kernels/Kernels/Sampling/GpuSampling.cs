using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>
/// The ILGPU implementation of <see cref="SamplingKernel"/>: a group per row, which finds the thresholds by sums over the row, without
/// sorting, then draws with a thread for each Philox block.
/// </summary>
internal static class GpuSampling
{
    internal static int FirstNonFinite(GpuDevice gpu, Tensor logits, Tensor largest)
    {
        using Tensor first = Tensor.From([(int)largest.ElementCount], [1], gpu, "Sampling.first non-finite row");
        gpu.Launch(FiniteKernel, largest.ElementCount, gpu.View<float>(logits), gpu.View<int>(largest), gpu.View<int>(first),
            logits.Shape.Columns);
        return first.ToArray<int>()[0];
    }

    internal static void Draw(GpuDevice gpu, Tensor logits, Tensor ids, SamplingOptions options, RandomStream stream)
    {
        int columns = logits.Shape.Columns;
        gpu.LaunchGroups(DrawKernel, GpuReduce.Config(gpu, ids.ElementCount, perThread: 2), gpu.View<float>(logits), gpu.View<int>(ids), columns,
            options.TopK < columns ? options.TopK : 0, (float)options.TopP, SamplingMath.Inverse(options.Temperature), stream.Seed,
            stream.Offset);
    }

    private static void FiniteKernel(Index1D row, ArrayView<float> logits, ArrayView<int> largest, ArrayView<int> first, int columns)
    {
        float value = logits[(long)row.X * columns + largest[row]];
        // False for NaN as well.
        bool finite = value >= -float.MaxValue && value <= float.MaxValue;
        if (!finite) Atomic.Min(ref first[0], row.X);
    }

    private static void DrawKernel(
        ArrayView<float> logits, ArrayView<int> ids, int columns, int topK, float topP, float inverse, ulong seed, ulong offset)
    {
        ArrayView<float> shared = SharedMemory.GetDynamic<float>();
        long start = (long)Grid.IdxX * columns;
        ArrayView<float> x = logits.SubView(start, columns);
        float max = x[ids[Grid.IdxX]], bound = -float.MaxValue;
        if (topK > 0) bound = SamplingMath.Search(new Count(x, shared), topK, bound, max);
        if (topP < 1f)
        {
            var mass = new Mass(x, shared, max, inverse);
            bound = SamplingMath.Search(mass, topP * mass.From(bound), bound, max);
        }
        ulong element = unchecked(offset + (ulong)start);
        // Elements of the first block that lie before the row.
        int before = (int)(element & 3);
        var best = new Best(float.NegativeInfinity, int.MaxValue);
        for (int j = 4 * Group.IdxX - before; j < columns; j += 4 * Group.DimX)
        {
            Philox.Block(seed, unchecked(element + (ulong)(long)j) >> 2, out uint r0, out uint r1, out uint r2, out uint r3);
            best = best.Or(x, j, r0, bound, max, inverse);
            best = best.Or(x, j + 1, r1, bound, max, inverse);
            best = best.Or(x, j + 2, r2, bound, max, inverse);
            best = best.Or(x, j + 3, r3, bound, max, inverse);
        }
        int id = GpuArgmax.Group(shared, best.Score, best.Id);
        if (Group.IdxX == 0) ids[Grid.IdxX] = id;
    }

    private readonly struct Best(float score, int id)
    {
        public readonly float Score = score;
        public readonly int Id = id;

        /// <summary>Token j in place of this one where it is kept and has a larger score; j may lie outside of the row.</summary>
        public Best Or(ArrayView<float> x, int j, uint word, float bound, float max, float inverse)
        {
            float value = j >= 0 && j < x.Length ? x[j] : float.NegativeInfinity;
            if (value < bound) return this;
            GpuValue exponential = SamplingMath.Exponential(GpuValue.SetBits(unchecked((int)word)));
            float score = SamplingMath.Score(new GpuValue(value), exponential, max, inverse).Value;
            return score > Score ? new Best(score, j) : this;
        }
    }

    private readonly struct Count(ArrayView<float> x, ArrayView<float> shared) : ISamplingSum
    {
        private readonly ArrayView<float> _x = x, _shared = shared;

        public float From(float bound)
        {
            float sum = 0;
            for (int j = Group.IdxX; j < _x.Length; j += Group.DimX) sum += _x[j] >= bound ? 1f : 0f;
            return GpuReduce.Group<GpuPlus>(_shared, sum);
        }
    }

    private readonly struct Mass(ArrayView<float> x, ArrayView<float> shared, float max, float inverse) : ISamplingSum
    {
        private readonly ArrayView<float> _x = x, _shared = shared;
        private readonly float _max = max, _inverse = inverse;

        public float From(float bound)
        {
            float sum = 0;
            for (int j = Group.IdxX; j < _x.Length; j += Group.DimX)
            {
                float value = _x[j];
                if (value >= bound) sum += GpuReduce.Exp(SamplingMath.Scaled(new GpuValue(value), _max, _inverse).Value);
            }
            return GpuReduce.Group<GpuPlus>(_shared, sum);
        }
    }
}
