using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>y = f(x), lane by lane. A struct, so that the loop is compiled once per op with the op inlined; its fields are the op's
/// parameters.</summary>
internal interface ICpuUnaryOp
{
    TVector Apply<TVector>(TVector x) where TVector : unmanaged, ISimd<TVector>;
}

/// <summary>y = f(a, b), lane by lane: also the backward pass dx = f(x, dy).</summary>
internal interface ICpuBinaryOp
{
    TVector Apply<TVector>(TVector a, TVector b) where TVector : unmanaged, ISimd<TVector>;
}

/// <summary>The elementwise loops of the CPU device, written once for every op and vector width. The output may be one of the
/// inputs.</summary>
internal static unsafe class CpuMap
{
    // 64 KiB of each operand per chunk: a multiple of every vector width, small against L2, large against the dispatch.
    private const long Grain = 16 * 1024;

    internal static void Unary<TOp>(CpuDevice cpu, TOp op, Tensor x, Tensor y) where TOp : struct, ICpuUnaryOp
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Unary<TOp, V16>(cpu, op, x, y); break;
            case SimdLevel.Vector256: Unary<TOp, V8>(cpu, op, x, y); break;
            default: Unary<TOp, V4>(cpu, op, x, y); break;
        }
    }

    internal static void Binary<TOp>(CpuDevice cpu, TOp op, Tensor a, Tensor b, Tensor y) where TOp : struct, ICpuBinaryOp
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Binary<TOp, V16>(cpu, op, a, b, y); break;
            case SimdLevel.Vector256: Binary<TOp, V8>(cpu, op, a, b, y); break;
            default: Binary<TOp, V4>(cpu, op, a, b, y); break;
        }
    }

    /// <summary>A row of y = f(x), of those who have threads already.</summary>
    internal static void Row<TOp, TVector>(float* x, float* y, int count) where TOp : struct, ICpuUnaryOp where TVector : unmanaged, ISimd<TVector> =>
        new UnaryBody<TOp, TVector> { X = x, Y = y }.Run(0, count, 0);

    private static void Unary<TOp, TVector>(CpuDevice cpu, TOp op, Tensor x, Tensor y)
        where TOp : struct, ICpuUnaryOp where TVector : unmanaged, ISimd<TVector>
    {
        var body = new UnaryBody<TOp, TVector> { Op = op, X = x.Pointer<float>(), Y = y.Pointer<float>() };
        cpu.Team.For(x.ElementCount, Grain, ref body);
    }

    private static void Binary<TOp, TVector>(CpuDevice cpu, TOp op, Tensor a, Tensor b, Tensor y)
        where TOp : struct, ICpuBinaryOp where TVector : unmanaged, ISimd<TVector>
    {
        var body = new BinaryBody<TOp, TVector> { Op = op, A = a.Pointer<float>(), B = b.Pointer<float>(), Y = y.Pointer<float>() };
        cpu.Team.For(a.ElementCount, Grain, ref body);
    }

    private struct UnaryBody<TOp, TVector> : IRangeBody where TOp : struct, ICpuUnaryOp where TVector : unmanaged, ISimd<TVector>
    {
        public TOp Op;
        public float* X, Y;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long start, long end, long chunk)
        {
            TOp op = Op;
            float* x = X, y = Y;
            long i = start;
            for (; i + TVector.Count <= end; i += TVector.Count) TVector.Store(op.Apply(TVector.Load(x + i)), y + i);
            for (; i < end; i++) V1.Store(op.Apply(V1.Load(x + i)), y + i);
        }
    }

    private struct BinaryBody<TOp, TVector> : IRangeBody where TOp : struct, ICpuBinaryOp where TVector : unmanaged, ISimd<TVector>
    {
        public TOp Op;
        public float* A, B, Y;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long start, long end, long chunk)
        {
            TOp op = Op;
            float* a = A, b = B, y = Y;
            long i = start;
            for (; i + TVector.Count <= end; i += TVector.Count) TVector.Store(op.Apply(TVector.Load(a + i), TVector.Load(b + i)), y + i);
            for (; i < end; i++) V1.Store(op.Apply(V1.Load(a + i), V1.Load(b + i)), y + i);
        }
    }
}
