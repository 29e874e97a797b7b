using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="RotaryEmbeddingKernel"/>: tokens in parallel.</summary>
internal static unsafe class CpuRotaryEmbedding
{
    internal static void Rotate(
        CpuDevice cpu, Tensor x, Tensor cos, Tensor sin, Tensor? positions, int start, Tensor y, bool backward)
    {
        var body = new Body
        {
            X = x.Pointer<float>(),
            Cos = cos.Pointer<float>(),
            Sin = sin.Pointer<float>(),
            Positions = positions is null ? null : positions.Pointer<int>(),
            Y = y.Pointer<float>(),
            Start = start,
            Length = x.Shape[1],
            Heads = x.Shape[2],
            Half = x.Shape[3] / 2,
            Sign = backward ? -1 : 1,
        };
        long tokens = (long)x.Shape[0] * x.Shape[1], grain = CpuReduce.RowGrain((long)x.Shape[2] * x.Shape[3]);
        switch (Width(cpu.Simd, body.Half))
        {
            case SimdLevel.Vector512: Run<V16>(cpu, body, tokens, grain); break;
            case SimdLevel.Vector256: Run<V8>(cpu, body, tokens, grain); break;
            default: Run<V4>(cpu, body, tokens, grain); break;
        }
    }

    /// <summary>The widest vectors that half a head fills: four lanes for heads of 8.</summary>
    private static SimdLevel Width(SimdLevel widest, long half) =>
        widest >= SimdLevel.Vector512 && half >= V16.Count ? SimdLevel.Vector512
        : widest >= SimdLevel.Vector256 && half >= V8.Count ? SimdLevel.Vector256
        : SimdLevel.Vector128;

    private static void Run<TVector>(CpuDevice cpu, Body body, long tokens, long grain) where TVector : unmanaged, ISimd<TVector>
    {
        var typed = new Body<TVector> { Inner = body };
        cpu.Team.For(tokens, grain, ref typed);
    }

    private struct Body
    {
        public float* X, Cos, Sin, Y;
        public int* Positions;
        public long Start, Length, Heads, Half;
        public float Sign;
    }

    private struct Body<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        // Heads that stay in the first-level cache while their columns are gone through one vector after another.
        private const long BlockFloats = 1024;

        public Body Inner;

        public readonly void Run(long start, long end, long chunk)
        {
            Body b = Inner;
            long dim = 2 * b.Half, block = dim == 0 ? b.Heads : Math.Max(1, BlockFloats / dim);
            for (long token = start; token < end; token++)
            {
                long angle = (b.Positions == null ? b.Start + token % b.Length : b.Positions[token]) * b.Half;
                for (long head = 0; head < b.Heads; head += block)
                {
                    long at = (token * b.Heads + head) * dim;
                    Rotate(b.X + at, b.Cos + angle, b.Sin + angle, b.Sign, b.Y + at, Math.Min(block, b.Heads - head), b.Half);
                }
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Rotate(float* x, float* cos, float* sin, float sign, float* y, long heads, long half)
        {
            long i = 0;
            for (; i + TVector.Count <= half; i += TVector.Count) Column<TVector>(x + i, cos + i, sin + i, sign, y + i, heads, half);
            for (; i + V4.Count <= half; i += V4.Count) Column<V4>(x + i, cos + i, sin + i, sign, y + i, heads, half);
            for (; i < half; i++) Column<V1>(x + i, cos + i, sin + i, sign, y + i, heads, half);
        }

        /// <summary>The same elements of all heads: their cosines and sines stay in registers.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Column<T>(float* x, float* cos, float* sin, float sign, float* y, long heads, long half)
            where T : unmanaged, ISimd<T>
        {
            T c = T.Load(cos), s = T.Load(sin) * T.Set(sign), negative = -s;
            for (long head = 0; head < heads; head++, x += 2 * half, y += 2 * half)
            {
                T first = T.Load(x), second = T.Load(x + half);
                T.Store(T.MultiplyAdd(second, negative, first * c), y);
                T.Store(T.MultiplyAdd(first, s, second * c), y + half);
            }
        }
    }
}
