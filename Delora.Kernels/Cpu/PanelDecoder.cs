using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Delora.Kernels;

/// <summary>What is done with the steps of one panel of one block of K: widening them, or multiplying a row by them.</summary>
internal unsafe struct PanelPart
{
    /// <summary>Codes of the first step.</summary>
    public byte* Codes;

    /// <summary>Number of the first step in its row of W, from which blocks of scales are counted.</summary>
    public int First;

    /// <summary>How many steps.</summary>
    public int Steps;

    /// <summary>[blocks][Nr], from the row's first block on; null where there are none.</summary>
    public float* Scales;

    /// <summary>Steps that share a scale; where there are none or one for all, more than there are steps.</summary>
    public int Block;
}

/// <summary>Loops over the steps of panels, for the vectors of each <see cref="SimdLevel"/>.</summary>
internal static unsafe class PanelDecoder
{
    /// <summary>A copy of the levels that lives as long as the process, where vectors can read it.</summary>
    private static readonly float* s_levels = PinLevels();

    /// <summary>Steps · Nr floats.</summary>
    public static void Widen(FrozenStorage storage, SimdLevel level, in PanelPart part, float* destination)
    {
        switch (storage)
        {
            case FrozenStorage.Float32: Widen<Float32Step>(level, part, destination, 32); break;
            case FrozenStorage.BFloat16: Widen<BFloat16Step>(level, part, destination, 16); break;
            case FrozenStorage.Float16: Widen<Float16Step>(level, part, destination, 16); break;
            case FrozenStorage.Int8: Widen<Int8Step>(level, part, destination, 8); break;
            default: Widen<Nf4Step>(level, part, destination, 4); break;
        }
    }

    /// <summary>As <see cref="IMicroKernel.MultiplyRow"/>, with the same bits, over steps that are widened in registers.</summary>
    public static void MultiplyRow(FrozenStorage storage, SimdLevel level, in PanelPart part, float* a, nint step, float* sums)
    {
        switch (storage)
        {
            case FrozenStorage.Float32: MultiplyRow<Float32Step>(level, part, a, step, sums, 32); break;
            case FrozenStorage.BFloat16: MultiplyRow<BFloat16Step>(level, part, a, step, sums, 16); break;
            case FrozenStorage.Float16: MultiplyRow<Float16Step>(level, part, a, step, sums, 16); break;
            case FrozenStorage.Int8: MultiplyRow<Int8Step>(level, part, a, step, sums, 8); break;
            default: MultiplyRow<Nf4Step>(level, part, a, step, sums, 4); break;
        }
    }

    private static float* PinLevels()
    {
        float* levels = (float*)NativeMemory.AlignedAlloc((nuint)Nf4Codec.Levels.Length * sizeof(float), PackedMatrix.Alignment);
        Nf4Codec.Levels.CopyTo(new Span<float>(levels, Nf4Codec.Levels.Length));
        return levels;
    }

    private static void Widen<TStep>(SimdLevel level, in PanelPart part, float* destination, int bits)
        where TStep : struct, IPanelStep<Vector512<float>>, IPanelStep<Vector256<float>>, IPanelStep<Vector128<float>>
    {
        int nr = PackedMatrix.PanelWidth(level);
        nint bytes = nr * bits / 8;
        for (int done = 0; done < part.Steps;)
        {
            int block = (part.First + done) / part.Block, count = Math.Min(part.Steps - done, (block + 1) * part.Block - part.First - done);
            byte* codes = part.Codes + done * bytes;
            float* scales = part.Scales + (nint)block * nr, to = destination + (nint)done * nr;
            switch (level)
            {
                case SimdLevel.Vector512: Widen512<TStep>(codes, count, bytes, scales, to); break;
                case SimdLevel.Vector256: Widen256<TStep>(codes, count, bytes, scales, to); break;
                default: Widen128<TStep>(codes, count, bytes, scales, to); break;
            }
            done += count;
        }
    }

    private static void MultiplyRow<TStep>(SimdLevel level, in PanelPart part, float* a, nint step, float* sums, int bits)
        where TStep : struct, IPanelStep<Vector512<float>>, IPanelStep<Vector256<float>>, IPanelStep<Vector128<float>>
    {
        int nr = PackedMatrix.PanelWidth(level);
        nint bytes = nr * bits / 8;
        for (int done = 0; done < part.Steps;)
        {
            int block = (part.First + done) / part.Block, count = Math.Min(part.Steps - done, (block + 1) * part.Block - part.First - done);
            byte* codes = part.Codes + done * bytes;
            float* scales = part.Scales + (nint)block * nr, from = a + done * step;
            switch (level)
            {
                case SimdLevel.Vector512: Row512<TStep>(codes, count, bytes, scales, from, step, sums); break;
                case SimdLevel.Vector256: Row256<TStep>(codes, count, bytes, scales, from, step, sums); break;
                default: Row128<TStep>(codes, count, bytes, scales, from, step, sums); break;
            }
            done += count;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Widen512<TStep>(byte* codes, int steps, nint bytes, float* scales, float* destination)
        where TStep : struct, IPanelStep<Vector512<float>>
    {
        float* levels = s_levels;
        for (; steps > 0; steps--, codes += bytes, destination += 32)
        {
            (Vector512<float> low, Vector512<float> high) = TStep.Read(codes, scales, levels);
            low.Store(destination);
            high.Store(destination + 16);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Row512<TStep>(byte* codes, int steps, nint bytes, float* scales, float* a, nint aStep, float* sums)
        where TStep : struct, IPanelStep<Vector512<float>>
    {
        float* levels = s_levels;
        Vector512<float> s0 = Vector512.Load(sums), s1 = Vector512.Load(sums + 16);
        for (; steps > 0; steps--, codes += bytes, a += aStep)
        {
            (Vector512<float> low, Vector512<float> high) = TStep.Read(codes, scales, levels);
            Vector512<float> x = Vector512.Create(*a);
            s0 = Vector512.FusedMultiplyAdd(x, low, s0);
            s1 = Vector512.FusedMultiplyAdd(x, high, s1);
        }
        s0.Store(sums);
        s1.Store(sums + 16);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Widen256<TStep>(byte* codes, int steps, nint bytes, float* scales, float* destination)
        where TStep : struct, IPanelStep<Vector256<float>>
    {
        float* levels = s_levels;
        for (; steps > 0; steps--, codes += bytes, destination += 16)
        {
            (Vector256<float> low, Vector256<float> high) = TStep.Read(codes, scales, levels);
            low.Store(destination);
            high.Store(destination + 8);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Row256<TStep>(byte* codes, int steps, nint bytes, float* scales, float* a, nint aStep, float* sums)
        where TStep : struct, IPanelStep<Vector256<float>>
    {
        float* levels = s_levels;
        Vector256<float> s0 = Vector256.Load(sums), s1 = Vector256.Load(sums + 8);
        for (; steps > 0; steps--, codes += bytes, a += aStep)
        {
            (Vector256<float> low, Vector256<float> high) = TStep.Read(codes, scales, levels);
            Vector256<float> x = Vector256.Create(*a);
            s0 = Fma.MultiplyAdd(x, low, s0);
            s1 = Fma.MultiplyAdd(x, high, s1);
        }
        s0.Store(sums);
        s1.Store(sums + 8);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Widen128<TStep>(byte* codes, int steps, nint bytes, float* scales, float* destination)
        where TStep : struct, IPanelStep<Vector128<float>>
    {
        float* levels = s_levels;
        for (; steps > 0; steps--, codes += bytes, destination += 8)
        {
            (Vector128<float> low, Vector128<float> high) = TStep.Read(codes, scales, levels);
            low.Store(destination);
            high.Store(destination + 4);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Row128<TStep>(byte* codes, int steps, nint bytes, float* scales, float* a, nint aStep, float* sums)
        where TStep : struct, IPanelStep<Vector128<float>>
    {
        float* levels = s_levels;
        Vector128<float> s0 = Vector128.Load(sums), s1 = Vector128.Load(sums + 4);
        for (; steps > 0; steps--, codes += bytes, a += aStep)
        {
            (Vector128<float> low, Vector128<float> high) = TStep.Read(codes, scales, levels);
            Vector128<float> x = Vector128.Create(*a);
            s0 = Vector128.MultiplyAddEstimate(x, low, s0);
            s1 = Vector128.MultiplyAddEstimate(x, high, s1);
        }
        s0.Store(sums);
        s1.Store(sums + 4);
    }
}
