using Delora.Core;

namespace Delora.Kernels;

/// <summary>The operands of an attention as the members of a team take them, and what they share out.</summary>
internal unsafe struct CpuAttentionOperands
{
    internal CpuAttentionOperands(
        Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor y, Tensor logSumExp, in AttentionSizes sizes, float scale)
    {
        (Sizes, Scale) = (sizes, scale);
        Query = query.Pointer<float>();
        Key = key.Pointer<float>();
        Value = value.Pointer<float>();
        Y = y.Pointer<float>();
        LogSumExp = logSumExp.Pointer<float>();
        Mask = mask is null ? null : mask.Pointer<int>();
    }

    internal AttentionSizes Sizes;
    internal float* Query, Key, Value, Y, LogSumExp, Scratch;
    internal int* Mask;
    internal nint ScratchStride;
    internal float Scale;

    /// <summary>Floats from one query of a head to the next.</summary>
    internal readonly nint QueryStride => (nint)Sizes.Heads * Sizes.Dim;

    /// <summary>Floats from one key of a head to the next.</summary>
    internal readonly nint KeyStride => (nint)Sizes.KvHeads * Sizes.Dim;

    internal readonly int KeyBlocks => (int)((Sizes.Capacity + CpuAttentionBlock.Keys - 1L) / CpuAttentionBlock.Keys);

    /// <summary>Blocks of so many queries.</summary>
    internal readonly int QueryBlocks(int queries) => (int)((Sizes.Seq + queries - 1L) / queries);

    /// <summary>
    /// The keys that any of these queries sees lie in [First, End), without the padding at either end; the two are equal where there are none.
    /// </summary>
    internal readonly (int First, int End) KeysOf(int batch, int query, int queries)
    {
        (int first, int end) = Sizes.KeysOf(query, queries);
        if (Mask == null || first >= end) return (first, Math.Max(first, end));
        Span<int> row = new Span<int>(MaskRow(batch), end)[first..];
        int token = row.IndexOfAnyExcept(0);
        return token < 0 ? (first, first) : (first + token, first + row.LastIndexOfAnyExcept(0) + 1);
    }

    internal readonly int* MaskRow(int batch) => Mask == null ? null : Mask + (nint)batch * Sizes.Capacity;

    internal readonly float* ScratchOf(int worker) => Scratch + worker * ScratchStride;

    /// <summary>Working memory of a team.</summary>
    /// <param name="cpu">The team's device.</param>
    /// <param name="floats">What a member needs.</param>
    internal HostScratch Rent(CpuDevice cpu, long floats)
    {
        ScratchStride = (nint)Gemm.RoundUp(floats, 64);
        var scratch = new HostScratch(cpu, checked(cpu.Team.Size * (long)ScratchStride * sizeof(float)), "Attention");
        Scratch = scratch.Floats;
        return scratch;
    }
}
