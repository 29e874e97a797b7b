using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="DropoutKernel"/>.</summary>
internal static unsafe class CpuDropout
{
    private const long Grain = 16 * 1024;

    internal static void Apply(CpuDevice cpu, Tensor x, DropoutMask mask, Tensor y)
    {
        var body = new Body { X = x.Pointer<float>(), Y = y.Pointer<float>(), Mask = mask };
        cpu.Team.For(x.ElementCount, Grain, ref body);
    }

    private struct Body : IRangeBody
    {
        public float* X, Y;
        public DropoutMask Mask;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long start, long end, long chunk)
        {
            float* x = X, y = Y;
            ulong seed = Mask.Stream.Seed, offset = Mask.Stream.Offset;
            Vector256<float> probability = Vector256.Create(Mask.Probability), scale = Vector256.Create(Mask.Scale);
            long i = start;
            // To the border of a Philox block.
            for (; i < end && (unchecked(offset + (ulong)i) & 3) != 0; i++) y[i] = x[i] * Mask.Factor(i);
            for (; i + PhiloxVector.Count <= end; i += PhiloxVector.Count)
            {
                (Vector256<uint> first, Vector256<uint> second) = PhiloxVector.Words(seed, unchecked(offset + (ulong)i) >> 2);
                (Vector256.Load(x + i) * Factor(first, probability, scale)).Store(y + i);
                (Vector256.Load(x + i + 8) * Factor(second, probability, scale)).Store(y + i + 8);
            }
            for (; i < end; i++) y[i] = x[i] * Mask.Factor(i);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector256<float> Factor(Vector256<uint> words, Vector256<float> probability, Vector256<float> scale)
        {
            Vector256<float> uniform = Vector256.ConvertToSingle((words >> 8).AsInt32()) * Vector256.Create(1f / 16777216f);
            return Vector256.GreaterThanOrEqual(uniform, probability) & scale;
        }
    }
}
