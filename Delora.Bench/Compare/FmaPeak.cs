using System.Diagnostics;
using System.Runtime.CompilerServices;
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
            if (!float.IsFinite(body.Sum)) throw new InvalidOperationException("The chains of additions diverged.");
            best = Math.Max(best, 2.0 * Steps * Chains * (int)Simd.Best / 32 * threads / seconds / 1e9);
        }
        return best;
    }

    // Not inlined: the compiler could leave out chains whose sum nobody reads.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static float Chain<TVector>()
        where TVector : unmanaged, ISimd<TVector>
    {
        TVector a = TVector.Set(0.999f), b = TVector.Set(1e-6f);
        TVector c0 = b, c1 = b, c2 = b, c3 = b, c4 = b, c5 = b, c6 = b, c7 = b, c8 = b, c9 = b, ca = b, cb = b;
        for (int i = 0; i < Steps; i++)
        {
            c0 = TVector.MultiplyAdd(c0, a, b);
            c1 = TVector.MultiplyAdd(c1, a, b);
            c2 = TVector.MultiplyAdd(c2, a, b);
            c3 = TVector.MultiplyAdd(c3, a, b);
            c4 = TVector.MultiplyAdd(c4, a, b);
            c5 = TVector.MultiplyAdd(c5, a, b);
            c6 = TVector.MultiplyAdd(c6, a, b);
            c7 = TVector.MultiplyAdd(c7, a, b);
            c8 = TVector.MultiplyAdd(c8, a, b);
            c9 = TVector.MultiplyAdd(c9, a, b);
            ca = TVector.MultiplyAdd(ca, a, b);
            cb = TVector.MultiplyAdd(cb, a, b);
        }
        return TVector.Sum(c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + ca + cb);
    }

    private struct Body : IRangeBody
    {
        public float Sum;

        public void Run(long start, long end, long chunk) =>
            Sum = Simd.Best switch { SimdLevel.Vector512 => Chain<V16>(), SimdLevel.Vector256 => Chain<V8>(), _ => Chain<V4>() };
    }
}
