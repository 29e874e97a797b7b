using System.Collections.Concurrent;
using Delora.Core;
using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// <see cref="AttentionKernel"/> on the tensor cores of a CUDA card: operands are rounded to 16 bits, products add up in float32, and the softmax is computed in float32.
/// Probabilities and gradients of scores are rounded to 16 bits before they enter the second product. Results do not depend on anything but the operands and
/// the card's kind: dq has a kernel of its own, instead of atomic sums.
/// </summary>
internal static class TensorCoreAttention
{
    // Below, a tile of 16 rows is mostly empty.
    private const int LeastSeq = 16;

    private static readonly ConcurrentDictionary<string, PtxText> s_texts = [];

    // Sums and differences of a few places stay in 32 bits.
    private const int MostPlaces = 1 << 29;

    // The grid's second and third axis.
    private const int MostGroups = 65535;

    /// <summary>
    /// The type that an attention's operands are rounded to; null where it is computed in float32: where the device is not asked for less
    /// (<see cref="GpuDevice.MatMulPrecision"/>), and where the texts do not take it.
    /// </summary>
    /// <param name="gpu">The card.</param>
    /// <param name="sizes">The measures.</param>
    /// <param name="scale">What scores are multiplied by.</param>
    /// <param name="outputs">Those that are stored by pairs, as far as they are wanted: a view may begin at an odd number.</param>
    internal static MmaType? TypeOf(GpuDevice gpu, in AttentionSizes sizes, float scale, params ReadOnlySpan<Tensor?> outputs)
    {
        bool takes = sizes.Seq is >= LeastSeq and < MostPlaces && sizes.Dim % 8 == 0 && sizes.Dim <= AttentionText.MaxDim && scale > 0
            && sizes.Heads <= MostGroups && sizes.Batch <= MostGroups && sizes.Capacity < MostPlaces;
        foreach (Tensor? output in outputs) takes &= output is null || output.Offset % 2 == 0;
        return !takes ? null : gpu.MatMulPrecision switch
        {
            MatMulPrecision.BFloat16 => MmaType.BFloat16,
            MatMulPrecision.Float16 => MmaType.Float16,
            _ => null,
        };
    }

    /// <summary>y and z.</summary>
    internal static void Forward(
        GpuDevice gpu, MmaType type, Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor y, Tensor logSumExp, in AttentionSizes sizes, float scale)
    {
        using Tensor q = Rounded(query, type), k = Rounded(key, type), v = Rounded(value, type);
        AttentionVariant variant = Variant(gpu, type, sizes, mask, sizes.Seq, sizes.Heads, most: 2);
        (PtxKernel kernel, PtxText text) = Load(gpu, variant.Entry("forward"), () => AttentionForwardText.Write(variant));
        gpu.LaunchPtx(kernel, Launch(text, variant, sizes.Seq, sizes.Heads, sizes.Batch), (
            gpu.Address(q), gpu.Address(k), gpu.Address(v), Address(gpu, mask), gpu.Address(y), gpu.Address(logSumExp),
            sizes.Seq, sizes.Keys, sizes.Capacity, sizes.Heads, sizes.KvHeads, sizes.Window, Factor(scale)));
    }

    /// <summary>Those of dq, dk and dv that are wanted.</summary>
    /// <param name="gpu">The card.</param>
    /// <param name="type">The 16-bit type of the operands.</param>
    /// <param name="query">[batch, seq, heads, dim].</param>
    /// <param name="key">[batch, capacity, kvHeads, dim].</param>
    /// <param name="value">[batch, capacity, kvHeads, dim].</param>
    /// <param name="mask">[batch, capacity].</param>
    /// <param name="logSumExp">z [batch, heads, seq].</param>
    /// <param name="products">D = dy · y [batch, heads, seq].</param>
    /// <param name="dy">[batch, seq, heads, dim].</param>
    /// <param name="dquery">Output.</param>
    /// <param name="dkey">Output.</param>
    /// <param name="dvalue">Output.</param>
    /// <param name="sizes">The measures.</param>
    /// <param name="scale">What scores are multiplied by.</param>
    internal static void Backward(
        GpuDevice gpu, MmaType type, Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor logSumExp, Tensor products, Tensor dy,
        Tensor? dquery, Tensor? dkey, Tensor? dvalue, in AttentionSizes sizes, float scale)
    {
        using Tensor q = Rounded(query, type), k = Rounded(key, type), v = Rounded(value, type), g = Rounded(dy, type);
        if (dquery is not null)
        {
            AttentionVariant variant = Variant(gpu, type, sizes, mask, sizes.Seq, sizes.Heads, sizes.Dim <= 64 ? 2 : 1);
            (PtxKernel kernel, PtxText text) = Load(gpu, variant.Entry("query_gradient"), () => AttentionQueryGradientText.Write(variant));
            gpu.LaunchPtx(kernel, Launch(text, variant, sizes.Seq, sizes.Heads, sizes.Batch), (
                gpu.Address(q), gpu.Address(k), gpu.Address(v), gpu.Address(g), Address(gpu, mask), gpu.Address(logSumExp), gpu.Address(products),
                gpu.Address(dquery), sizes.Seq, sizes.Keys, sizes.Capacity, sizes.Heads, sizes.KvHeads, sizes.Window, Factor(scale), scale));
        }
        if (dkey is not null || dvalue is not null)
        {
            AttentionVariant variant = Variant(gpu, type, sizes, mask, sizes.Capacity, sizes.KvHeads, most: 1);
            (PtxKernel kernel, PtxText text) = Load(gpu, variant.Entry("key_gradient"), () => AttentionKeyGradientText.Write(variant));
            gpu.LaunchPtx(kernel, Launch(text, variant, sizes.Capacity, sizes.KvHeads, sizes.Batch), (
                gpu.Address(q), gpu.Address(k), gpu.Address(v), gpu.Address(g), Address(gpu, mask), gpu.Address(logSumExp), gpu.Address(products),
                Address(gpu, dkey), Address(gpu, dvalue),
                sizes.Seq, sizes.Keys, sizes.Capacity, sizes.Heads, sizes.KvHeads, sizes.Window, Factor(scale), scale));
        }
    }

    /// <summary>32 rows a warp, where registers allow it and enough groups remain for all multiprocessors; a right operand's fragment then serves twice.</summary>
    private static AttentionVariant Variant(GpuDevice gpu, MmaType type, in AttentionSizes sizes, Tensor? mask, int rows, int heads, int most)
    {
        var variant = new AttentionVariant(type, sizes.Dim, sizes.Causal != 0, mask is not null, most);
        while (variant.RowTiles > 1 && (long)sizes.Batch * heads * Tiles(rows, variant.Rows) < gpu.Target!.Multiprocessors)
            variant = variant with { RowTiles = variant.RowTiles / 2 };
        return variant;
    }

    private static (PtxKernel Kernel, PtxText Text) Load(GpuDevice gpu, string key, Func<PtxText> write)
    {
        PtxText text = s_texts.GetOrAdd(key, static (_, make) => make(), write);
        return (gpu.LoadPtx(key, _ => text.Text), text);
    }

    private static PtxLaunch Launch(PtxText text, AttentionVariant variant, int rows, int heads, int batch) =>
        text.Launch(checked((int)Tiles(rows, variant.Rows)), heads, batch);

    private static long Tiles(int rows, int tile) => ((long)rows + tile - 1) / tile;

    // Scores in units of log 2: the hardware's exponential is that of 2.
    private static float Factor(float scale) => scale / MathF.Log(2);

    private static nint Address(GpuDevice gpu, Tensor? tensor) => tensor is null ? 0 : gpu.Address(tensor);

    private static Tensor Rounded(Tensor x, MmaType type)
    {
        Tensor rounded = Tensor.Empty(x.Shape, type == MmaType.BFloat16 ? DType.BFloat16 : DType.Float16, x.Device, $"Attention.{x.Name}");
        CastKernel.Forward(x, rounded);
        return rounded;
    }
}
