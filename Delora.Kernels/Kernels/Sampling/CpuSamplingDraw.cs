using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>A token, and what it came to in the draw.</summary>
internal struct SamplingCandidate
{
    internal float Score;
    internal int Id;
}

/// <summary>
/// The draw of <see cref="CpuSampling"/> within one row: tokens that are kept are gathered, and get their scores many at a time.
/// </summary>
internal unsafe struct CpuSamplingDraw<TVector> where TVector : unmanaged, ISimd<TVector>
{
    private const int Capacity = 256;

    private readonly float _max, _bound, _inverse;
    private SamplingCandidate _best;

    /// <summary>A draw of the tokens from <paramref name="bound"/> on; <paramref name="fallback"/> where there are none.</summary>
    internal CpuSamplingDraw(float max, float bound, float inverse, int fallback)
    {
        (_max, _bound, _inverse) = (max, bound, inverse);
        _best = new() { Score = float.NegativeInfinity, Id = fallback };
    }

    /// <summary>The best of the tokens first … first + count − 1 of a row; the first one's random number is the seed's element.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal SamplingCandidate Best(float* x, long first, long count, ulong seed, ulong element)
    {
        uint* block = stackalloc uint[PhiloxVector.Count], words = stackalloc uint[Capacity];
        float* values = stackalloc float[Capacity];
        int* ids = stackalloc int[Capacity];
        int gathered = 0;
        long end = first + count;
        // From the border of a Philox block.
        long j = first - (long)(element & 3);
        for (ulong counter = element >> 2; j < end; j += PhiloxVector.Count, counter += PhiloxVector.Count / 4)
        {
            long from = Math.Max(j, first), to = Math.Min(j + PhiloxVector.Count, end);
            if (to - from == PhiloxVector.Count && !AnyKept(x + from)) continue;
            (Vector256<uint> lower, Vector256<uint> upper) = PhiloxVector.Words(seed, counter);
            lower.Store(block);
            upper.Store(block + 8);
            for (long i = from; i < to; i++)
            {
                // Without a branch, which chance would decide: what is not kept is written over.
                (values[gathered], words[gathered], ids[gathered]) = (x[i], block[i - j], (int)i);
                gathered += x[i] >= _bound ? 1 : 0;
            }
            if (gathered < Capacity - PhiloxVector.Count) continue;
            Compare(values, words, ids, gathered);
            gathered = 0;
        }
        Compare(values, words, ids, gathered);
        return _best;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly bool AnyKept(float* x) =>
        Vector256.GreaterThanOrEqualAny(Vector256.Max(Vector256.Load(x), Vector256.Load(x + 8)), Vector256.Create(_bound));

    private void Compare(float* values, uint* words, int* ids, int count)
    {
        var scores = (float*)words;
        CpuRow.Map<ExponentialOp, TVector>(default, scores, scores, count);
        CpuRow.Map<ScoreOp, TVector>(new(_max, _inverse), values, scores, scores, count);
        for (int i = 0; i < count; i++)
            if (scores[i] > _best.Score) _best = new() { Score = scores[i], Id = ids[i] };
    }

    private readonly struct ExponentialOp : ICpuUnaryOp
    {
        public T Apply<T>(T word) where T : unmanaged, ISimd<T> => SamplingMath.Exponential(word);
    }

    private readonly struct ScoreOp(float max, float inverse) : ICpuBinaryOp
    {
        public T Apply<T>(T x, T exponential) where T : unmanaged, ISimd<T> => SamplingMath.Score(x, exponential, max, inverse);
    }
}
