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

    /// <summary>y = x ∘ mask for consecutive elements; the first is the mask's element <paramref name="first"/>. y may be x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Apply(float* x, float* y, long first, long count, in DropoutMask mask)
    {
        ulong seed = mask.Stream.Seed, offset = unchecked(mask.Stream.Offset + (ulong)first);
        Vector256<float> probability = Vector256.Create(mask.Probability), scale = Vector256.Create(mask.Scale);
        long i = 0;
        // To the border of a Philox block.
        for (; i < count && (unchecked(offset + (ulong)i) & 3) != 0; i++) y[i] = x[i] * mask.Factor(first + i);
        for (; i + PhiloxVector.Count <= count; i += PhiloxVector.Count)
        {
            (Vector256<uint> lower, Vector256<uint> upper) = PhiloxVector.Words(seed, unchecked(offset + (ulong)i) >> 2);
            (Vector256.Load(x + i) * Factor(lower, probability, scale)).Store(y + i);
            (Vector256.Load(x + i + 8) * Factor(upper, probability, scale)).Store(y + i + 8);
        }
        for (; i < count; i++) y[i] = x[i] * mask.Factor(first + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Factor(Vector256<uint> words, Vector256<float> probability, Vector256<float> scale)
    {
        Vector256<float> uniform = Vector256.ConvertToSingle((words >> 8).AsInt32()) * Vector256.Create(1f / 16777216f);
        return Vector256.GreaterThanOrEqual(uniform, probability) & scale;
    }

    private struct Body : IRangeBody
    {
        public float* X, Y;
        public DropoutMask Mask;

        public readonly void Run(long start, long end, long chunk) => CpuDropout.Apply(X + start, Y + start, start, end - start, Mask);
    }
}
