using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="SwiGluKernel"/>; the GPU shares its formulas.</summary>
internal static unsafe class CpuSwiGlu
{
    private const long Grain = 16 * 1024;

    internal static void Forward(CpuDevice cpu, Tensor gate, Tensor up, Tensor y) => CpuMap.Binary(cpu, new ForwardOp(), gate, up, y);

    internal static void Backward(CpuDevice cpu, Tensor gate, Tensor up, Tensor dy, Tensor? dgate, Tensor? dup)
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Backward<V16>(cpu, gate, up, dy, dgate, dup); break;
            case SimdLevel.Vector256: Backward<V8>(cpu, gate, up, dy, dgate, dup); break;
            default: Backward<V4>(cpu, gate, up, dy, dgate, dup); break;
        }
    }

    /// <summary>dgate and dup at once.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static (T Gate, T Up) Gradients<T>(T gate, T up, T dy) where T : unmanaged, ISimd<T>
    {
        T sigmoid = SimdMath.Sigmoid(gate);
        T silu = gate * sigmoid;
        return (dy * up * T.MultiplyAdd(silu, T.Set(1) - sigmoid, sigmoid), dy * silu);
    }

    private static void Backward<TVector>(CpuDevice cpu, Tensor gate, Tensor up, Tensor dy, Tensor? dgate, Tensor? dup)
        where TVector : unmanaged, ISimd<TVector>
    {
        var body = new BackwardBody<TVector>
        {
            Gate = gate.Pointer<float>(),
            Up = up.Pointer<float>(),
            Dy = dy.Pointer<float>(),
            DGate = dgate is null ? null : dgate.Pointer<float>(),
            DUp = dup is null ? null : dup.Pointer<float>(),
        };
        cpu.Team.For(gate.ElementCount, Grain, ref body);
    }

    internal readonly struct ForwardOp : ICpuBinaryOp
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public TVector Apply<TVector>(TVector gate, TVector up) where TVector : unmanaged, ISimd<TVector> =>
            gate * SimdMath.Sigmoid(gate) * up;
    }

    private struct BackwardBody<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public float* Gate, Up, Dy, DGate, DUp;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long start, long end, long chunk)
        {
            long i = start;
            for (; i + TVector.Count <= end; i += TVector.Count) Step<TVector>(i);
            for (; i < end; i++) Step<V1>(i);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly void Step<T>(long i) where T : unmanaged, ISimd<T>
        {
            (T gate, T up) = Gradients(T.Load(Gate + i), T.Load(Up + i), T.Load(Dy + i));
            if (DGate != null) T.Store(gate, DGate + i);
            if (DUp != null) T.Store(up, DUp + i);
        }
    }
}
