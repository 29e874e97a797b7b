using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="NonFiniteKernel"/>.</summary>
internal static unsafe class CpuNonFinite
{
    // A lane counts at most Grain / 4 in float32, exactly.
    private const long Grain = 16 * 1024;

    internal static void Forward(CpuDevice cpu, ReadOnlySpan<Tensor> tensors, Tensor count)
    {
        long total = 0;
        foreach (Tensor tensor in tensors)
        {
            total += cpu.Simd switch
            {
                SimdLevel.Vector512 => Count<V16>(cpu, tensor),
                SimdLevel.Vector256 => Count<V8>(cpu, tensor),
                _ => Count<V4>(cpu, tensor),
            };
        }
        *count.Pointer<int>() = (int)Math.Min(total, int.MaxValue);
    }

    private static long Count<TVector>(CpuDevice cpu, Tensor x) where TVector : unmanaged, ISimd<TVector>
    {
        int chunks = WorkerTeam.ChunkCount(x.ElementCount, Grain);
        using var partials = new HostScratch(cpu, (long)chunks * sizeof(int), "NonFinite.partials");
        Span<int> counts = partials.Span<int>(chunks);
        var body = new Body<TVector> { X = x.Pointer<float>(), Partials = (int*)partials.Pointer };
        cpu.Team.For(x.ElementCount, Grain, ref body);
        long total = 0;
        foreach (int value in counts) total += value;
        return total;
    }

    private struct Body<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public float* X;
        public int* Partials;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long start, long end, long chunk)
        {
            TVector infinity = TVector.Set(float.PositiveInfinity), one = TVector.Set(1), zero = TVector.Set(0), sum = zero;
            long i = start;
            for (; i + TVector.Count <= end; i += TVector.Count)
                sum += TVector.Select(TVector.GreaterThan(infinity, TVector.Abs(TVector.Load(X + i))), zero, one);
            int count = (int)TVector.Sum(sum);
            for (; i < end; i++)
                if (!float.IsFinite(X[i])) count++;
            Partials[chunk] = count;
        }
    }
}
