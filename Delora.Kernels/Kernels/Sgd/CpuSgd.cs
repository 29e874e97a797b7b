using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="SgdKernel"/>.</summary>
internal static unsafe class CpuSgd
{
    private const long Grain = 16 * 1024;

    internal static void Step(CpuDevice cpu, Tensor p, Tensor g, Tensor? buffer, Tensor? scale, in SgdSettings settings, bool first)
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Step<V16>(cpu, p, g, buffer, scale, settings, first); break;
            case SimdLevel.Vector256: Step<V8>(cpu, p, g, buffer, scale, settings, first); break;
            default: Step<V4>(cpu, p, g, buffer, scale, settings, first); break;
        }
    }

    private static void Step<TVector>(CpuDevice cpu, Tensor p, Tensor g, Tensor? buffer, Tensor? scale, in SgdSettings settings, bool first)
        where TVector : unmanaged, ISimd<TVector>
    {
        var body = new Body<TVector>
        {
            P = p.Pointer<float>(),
            G = g.Pointer<float>(),
            Buffer = buffer is null ? null : buffer.Pointer<float>(),
            Scale = scale is null ? 1 : *scale.Pointer<float>(),
            LearningRate = (float)settings.LearningRate,
            Momentum = (float)settings.Momentum,
            Decay = (float)settings.WeightDecay,
            Nesterov = settings.Nesterov,
            First = first,
        };
        cpu.Team.For(p.ElementCount, Grain, ref body);
    }

    private struct Body<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public float* P, G, Buffer;
        public float Scale, LearningRate, Momentum, Decay;
        public bool Nesterov, First;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long start, long end, long chunk)
        {
            long i = start;
            for (; i + TVector.Count <= end; i += TVector.Count) Update<TVector>(i);
            for (; i < end; i++) Update<V1>(i);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly void Update<T>(long i) where T : unmanaged, ISimd<T>
        {
            T p = T.Load(P + i);
            T direction = T.Load(G + i) * T.Set(Scale) + T.Set(Decay) * p;
            if (Buffer != null)
            {
                T b = First ? direction : T.Load(Buffer + i) * T.Set(Momentum) + direction;
                T.Store(b, Buffer + i);
                direction = Nesterov ? direction + T.Set(Momentum) * b : b;
            }
            T.Store(p - T.Set(LearningRate) * direction, P + i);
        }
    }
}
