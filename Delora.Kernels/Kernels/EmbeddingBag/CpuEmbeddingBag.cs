using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="EmbeddingBagKernel"/>: bags in parallel, their sums in registers.</summary>
internal static unsafe class CpuEmbeddingBag
{
    internal static void Forward(CpuDevice cpu, Tensor ids, Tensor offsets, Tensor weight, Tensor y, bool mean)
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Forward<V16>(cpu, ids, offsets, weight, y, mean); break;
            case SimdLevel.Vector256: Forward<V8>(cpu, ids, offsets, weight, y, mean); break;
            default: Forward<V4>(cpu, ids, offsets, weight, y, mean); break;
        }
    }

    internal static void Backward(CpuDevice cpu, Tensor ids, Tensor offsets, Tensor dy, Tensor dweight, bool mean) =>
        CpuScatter.Add(cpu, ids, offsets, mean, dy, dweight);

    private static void Forward<TVector>(CpuDevice cpu, Tensor ids, Tensor offsets, Tensor weight, Tensor y, bool mean)
        where TVector : unmanaged, ISimd<TVector>
    {
        long bags = y.Shape[0], dim = y.Shape[1];
        var body = new ForwardBody<TVector>
        {
            Ids = ids.Pointer<int>(),
            Offsets = offsets.Pointer<int>(),
            Weight = weight.Pointer<float>(),
            Y = y.Pointer<float>(),
            Dim = dim,
            Mean = mean,
        };
        long idsPerBag = ids.ElementCount / Math.Max(1, bags) + 1;
        cpu.Team.For(bags, CpuReduce.RowGrain(checked(idsPerBag * dim)), ref body);
    }

    private struct ForwardBody<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public int* Ids, Offsets;
        public float* Weight, Y;
        public long Dim;
        public bool Mean;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long bag = start; bag < end; bag++)
            {
                int* ids = Ids + Offsets[bag];
                int count = Offsets[bag + 1] - Offsets[bag];
                float scale = Mean && count > 0 ? 1f / count : 1;
                float* y = Y + bag * Dim;
                long c = 0;
                for (; c + 8 * TVector.Count <= Dim; c += 8 * TVector.Count) SumEight(ids, count, Weight + c, Dim, y + c, scale);
                for (; c + TVector.Count <= Dim; c += TVector.Count) SumOne<TVector>(ids, count, Weight + c, Dim, y + c, scale);
                for (; c < Dim; c++) SumOne<V1>(ids, count, Weight + c, Dim, y + c, scale);
            }
        }

        /// <summary>Eight vectors of columns: at 256 bits and 64 columns the whole row.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void SumEight(int* ids, int count, float* weight, long dim, float* y, float scale)
        {
            TVector s0 = TVector.Set(0), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
            int width = TVector.Count;
            for (int i = 0; i < count; i++)
            {
                if (i + CpuScatter.PrefetchDistance < count)
                    CpuScatter.Prefetch(weight + ids[i + CpuScatter.PrefetchDistance] * dim, 8 * width);
                float* row = weight + ids[i] * dim;
                s0 += TVector.Load(row);
                s1 += TVector.Load(row + width);
                s2 += TVector.Load(row + 2 * width);
                s3 += TVector.Load(row + 3 * width);
                s4 += TVector.Load(row + 4 * width);
                s5 += TVector.Load(row + 5 * width);
                s6 += TVector.Load(row + 6 * width);
                s7 += TVector.Load(row + 7 * width);
            }
            TVector factor = TVector.Set(scale);
            TVector.Store(s0 * factor, y);
            TVector.Store(s1 * factor, y + width);
            TVector.Store(s2 * factor, y + 2 * width);
            TVector.Store(s3 * factor, y + 3 * width);
            TVector.Store(s4 * factor, y + 4 * width);
            TVector.Store(s5 * factor, y + 5 * width);
            TVector.Store(s6 * factor, y + 6 * width);
            TVector.Store(s7 * factor, y + 7 * width);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void SumOne<T>(int* ids, int count, float* weight, long dim, float* y, float scale) where T : unmanaged, ISimd<T>
        {
            T sum = T.Set(0);
            for (int i = 0; i < count; i++) sum += T.Load(weight + ids[i] * dim);
            T.Store(sum * T.Set(scale), y);
        }
    }
}
