using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Delora.Kernels;

namespace Delora.Bench.Compare;

/// <summary>How many multiplications and additions the vector units do when nothing holds them up.</summary>
internal static class FmaPeak
{
    private const int Steps = 1_000_000, Chains = 12;

    /// <summary>GFLOP/s of so many threads at once, the best of several tries, at the vector width of the kernels.</summary>
    internal static double Measure(int threads)
    {
        double best = 0;
        using var team = new WorkerTeam(threads);
        for (int i = 0; i < 8; i++)
        {
            Body body = default;
            long start = Stopwatch.GetTimestamp();
            team.For(threads, 1, ref body);
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            // Also keeps the compiler from leaving out sums that nobody reads.
            if (!float.IsFinite(body.Sum)) throw new InvalidOperationException("The chains of additions diverged.");
            best = Math.Max(best, 2.0 * Steps * Chains * (int)Simd.Best / 32 * threads / seconds / 1e9);
        }
        return best;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static float Chain512()
    {
        Vector512<float> a = Vector512.Create(0.999f), b = Vector512.Create(1e-6f);
        Vector512<float> c0 = b, c1 = b, c2 = b, c3 = b, c4 = b, c5 = b, c6 = b, c7 = b, c8 = b, c9 = b, ca = b, cb = b;
        for (int i = 0; i < Steps; i++)
        {
            c0 = Vector512.FusedMultiplyAdd(c0, a, b);
            c1 = Vector512.FusedMultiplyAdd(c1, a, b);
            c2 = Vector512.FusedMultiplyAdd(c2, a, b);
            c3 = Vector512.FusedMultiplyAdd(c3, a, b);
            c4 = Vector512.FusedMultiplyAdd(c4, a, b);
            c5 = Vector512.FusedMultiplyAdd(c5, a, b);
            c6 = Vector512.FusedMultiplyAdd(c6, a, b);
            c7 = Vector512.FusedMultiplyAdd(c7, a, b);
            c8 = Vector512.FusedMultiplyAdd(c8, a, b);
            c9 = Vector512.FusedMultiplyAdd(c9, a, b);
            ca = Vector512.FusedMultiplyAdd(ca, a, b);
            cb = Vector512.FusedMultiplyAdd(cb, a, b);
        }
        return Vector512.Sum(c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + ca + cb);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static float Chain256()
    {
        Vector256<float> a = Vector256.Create(0.999f), b = Vector256.Create(1e-6f);
        Vector256<float> c0 = b, c1 = b, c2 = b, c3 = b, c4 = b, c5 = b, c6 = b, c7 = b, c8 = b, c9 = b, ca = b, cb = b;
        for (int i = 0; i < Steps; i++)
        {
            c0 = Vector256.FusedMultiplyAdd(c0, a, b);
            c1 = Vector256.FusedMultiplyAdd(c1, a, b);
            c2 = Vector256.FusedMultiplyAdd(c2, a, b);
            c3 = Vector256.FusedMultiplyAdd(c3, a, b);
            c4 = Vector256.FusedMultiplyAdd(c4, a, b);
            c5 = Vector256.FusedMultiplyAdd(c5, a, b);
            c6 = Vector256.FusedMultiplyAdd(c6, a, b);
            c7 = Vector256.FusedMultiplyAdd(c7, a, b);
            c8 = Vector256.FusedMultiplyAdd(c8, a, b);
            c9 = Vector256.FusedMultiplyAdd(c9, a, b);
            ca = Vector256.FusedMultiplyAdd(ca, a, b);
            cb = Vector256.FusedMultiplyAdd(cb, a, b);
        }
        return Vector256.Sum(c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + ca + cb);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static float Chain128()
    {
        Vector128<float> a = Vector128.Create(0.999f), b = Vector128.Create(1e-6f);
        Vector128<float> c0 = b, c1 = b, c2 = b, c3 = b, c4 = b, c5 = b, c6 = b, c7 = b, c8 = b, c9 = b, ca = b, cb = b;
        for (int i = 0; i < Steps; i++)
        {
            c0 = Vector128.MultiplyAddEstimate(c0, a, b);
            c1 = Vector128.MultiplyAddEstimate(c1, a, b);
            c2 = Vector128.MultiplyAddEstimate(c2, a, b);
            c3 = Vector128.MultiplyAddEstimate(c3, a, b);
            c4 = Vector128.MultiplyAddEstimate(c4, a, b);
            c5 = Vector128.MultiplyAddEstimate(c5, a, b);
            c6 = Vector128.MultiplyAddEstimate(c6, a, b);
            c7 = Vector128.MultiplyAddEstimate(c7, a, b);
            c8 = Vector128.MultiplyAddEstimate(c8, a, b);
            c9 = Vector128.MultiplyAddEstimate(c9, a, b);
            ca = Vector128.MultiplyAddEstimate(ca, a, b);
            cb = Vector128.MultiplyAddEstimate(cb, a, b);
        }
        return Vector128.Sum(c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + ca + cb);
    }

    private struct Body : IRangeBody
    {
        public float Sum;

        public void Run(long start, long end, long chunk) =>
            Sum = Simd.Best switch { SimdLevel.Vector512 => Chain512(), SimdLevel.Vector256 => Chain256(), _ => Chain128() };
    }
}
