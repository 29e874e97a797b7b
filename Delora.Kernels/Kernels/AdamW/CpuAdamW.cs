using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="AdamWKernel"/>.</summary>
internal static unsafe class CpuAdamW
{
    private const long Grain = 16 * 1024;

    internal static void Step(CpuDevice cpu, Tensor p, Tensor g, Tensor m, Tensor v, Tensor? scale, in AdamWFactors factors)
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Step<V16>(cpu, p, g, m, v, scale, factors); break;
            case SimdLevel.Vector256: Step<V8>(cpu, p, g, m, v, scale, factors); break;
            default: Step<V4>(cpu, p, g, m, v, scale, factors); break;
        }
    }

    private static void Step<TVector>(CpuDevice cpu, Tensor p, Tensor g, Tensor m, Tensor v, Tensor? scale, in AdamWFactors factors)
        where TVector : unmanaged, ISimd<TVector>
    {
        var body = new Body<TVector>
        {
            P = p.Pointer<float>(),
            G = g.Pointer<float>(),
            M = m.Pointer<float>(),
            V = v.Pointer<float>(),
            Factors = factors,
            Scale = scale is null ? 1 : *scale.Pointer<float>(),
        };
        cpu.Team.For(p.ElementCount, Grain, ref body);
    }

    private struct Body<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public float* P, G, M, V;
        public float Scale;
        public AdamWFactors Factors;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long start, long end, long chunk)
        {
            AdamWFactors f = Factors;
            long i = start;
            for (; i + TVector.Count <= end; i += TVector.Count) Update<TVector>(f, Scale, P + i, G + i, M + i, V + i);
            for (; i < end; i++) Update<V1>(f, Scale, P + i, G + i, M + i, V + i);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Update<T>(in AdamWFactors f, float scale, float* p, float* g, float* m, float* v) where T : unmanaged, ISimd<T>
        {
            T gradient = T.Load(g) * T.Set(scale);
            T first = T.Load(m) * T.Set(f.Beta1) + gradient * T.Set(f.OneMinusBeta1);
            T second = T.Load(v) * T.Set(f.Beta2) + gradient * gradient * T.Set(f.OneMinusBeta2);
            T denominator = T.Sqrt(second) / T.Set(f.RootCorrection2) + T.Set(f.Epsilon);
            T.Store(first, m);
            T.Store(second, v);
            T.Store(T.Load(p) * T.Set(f.Keep) - T.Set(f.StepSize) * first / denominator, p);
        }
    }
}
