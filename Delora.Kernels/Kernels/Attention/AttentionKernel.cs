using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Scaled dot-product attention, causal or not, with a mask of padding, a sliding window, and heads of keys and values that several heads
/// of queries share. Per batch and head, with n = Keys:
/// <code>
/// s_tj = scale · q_t · k_j      over the keys j &lt; n that are no padding, where causal j ≤ n − seq + t, and n − seq + t − j &lt; window
/// z_t  = log Σ_j e^(s_tj)       p_tj = e^(s_tj − z_t)       y_t = Σ_j p_tj v_j
/// </code>
/// and on the way back, with D_t = dy_t · y_t and ds_tj = scale · p_tj (dy_t · v_j − D_t):
/// <code>
/// dq_t = Σ_j ds_tj k_j      dk_j = Σ_t ds_tj q_t      dv_j = Σ_t p_tj dy_t
/// </code>
/// Head h of the queries uses head h / (heads / kvHeads) of keys and values, whose gradients are sums over the heads that share it.
/// <para>
/// Scores and probabilities exist in blocks only, and p is computed again from z on the way back: memory grows with seq, not with seq². A
/// query that may attend to nothing gives zeros, z = −∞, and zero gradients, as in <see cref="SoftmaxKernel"/>. The blocks include keys
/// that some of their queries do not see, with p = 0: a NaN or infinity in a key or value below n may therefore reach queries that do not
/// see it.
/// </para>
/// </summary>
public static partial class AttentionKernel
{
    private const string Op = "Attention";

    /// <summary>y and z.</summary>
    /// <param name="query">[batch, seq, heads, dim].</param>
    /// <param name="key">[batch, capacity, kvHeads, dim]; only the first Keys rows are read.</param>
    /// <param name="value">[batch, capacity, kvHeads, dim], like key.</param>
    /// <param name="mask">int32 [batch, capacity]: 0 where the key is padding, which nobody attends to; null for no padding.</param>
    /// <param name="y">Output, [batch, seq, heads, dim].</param>
    /// <param name="logSumExp">Output, [batch, heads, seq]: z, which the backward pass needs.</param>
    /// <param name="options">Causality, window, number of keys, scale.</param>
    /// <exception cref="ShapeException">The shapes do not fit, a causal attention has fewer keys than queries, or the window is empty.</exception>
    /// <exception cref="NonFiniteException">The scale is not a finite float32.</exception>
    /// <exception cref="ArgumentException">An output shares memory with another operand.</exception>
    public static void Forward(
        Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor y, Tensor logSumExp, AttentionOptions options)
    {
        AttentionSizes sizes = CheckAll(query, key, value, mask, y, logSumExp, options, out double scale);
        Check.Apart(Op, y, query, key, value, mask, logSumExp);
        Check.Apart(Op, logSumExp, query, key, value, mask);
        switch (Check.Floats(Op, query, key, value, y, logSumExp))
        {
            case CpuDevice cpu: CpuAttention.Forward(cpu, query, key, value, mask, y, logSumExp, sizes, (float)scale); break;
            case GpuDevice gpu: GpuAttention.Forward(gpu, query, key, value, mask, y, logSumExp, sizes, (float)scale); break;
            case ReferenceDevice: ReferenceForward(query, key, value, mask, y, logSumExp, sizes, scale); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>Computes those of dq, dk, dv that are wanted. Rows of dk and dv from Keys on become 0.</summary>
    /// <param name="query">[batch, seq, heads, dim], of the forward pass.</param>
    /// <param name="key">[batch, capacity, kvHeads, dim], of the forward pass.</param>
    /// <param name="value">[batch, capacity, kvHeads, dim], of the forward pass.</param>
    /// <param name="mask">int32 [batch, capacity], of the forward pass.</param>
    /// <param name="y">[batch, seq, heads, dim], of the forward pass.</param>
    /// <param name="logSumExp">z [batch, heads, seq], of the forward pass.</param>
    /// <param name="dy">Gradient of the output, [batch, seq, heads, dim].</param>
    /// <param name="dquery">Output, dq; null where it is not wanted.</param>
    /// <param name="dkey">Output, dk; null where it is not wanted.</param>
    /// <param name="dvalue">Output, dv; null where it is not wanted.</param>
    /// <param name="options">As in the forward pass.</param>
    /// <exception cref="ShapeException">The shapes do not fit, a causal attention has fewer keys than queries, or the window is empty.</exception>
    /// <exception cref="NonFiniteException">The scale is not a finite float32.</exception>
    /// <exception cref="ArgumentException">A gradient shares memory with another operand.</exception>
    public static void Backward(
        Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor y, Tensor logSumExp, Tensor dy,
        Tensor? dquery, Tensor? dkey, Tensor? dvalue, AttentionOptions options)
    {
        AttentionSizes sizes = CheckAll(query, key, value, mask, y, logSumExp, options, out double scale);
        Check.SameShape(Op, query, dy);
        if (dquery is not null) Check.SameShape(Op, query, dquery);
        if (dkey is not null) Check.SameShape(Op, key, dkey);
        if (dvalue is not null) Check.SameShape(Op, value, dvalue);
        if (dquery is not null) Check.Apart(Op, dquery, query, key, value, mask, y, logSumExp, dy, dkey, dvalue);
        if (dkey is not null) Check.Apart(Op, dkey, query, key, value, mask, y, logSumExp, dy, dvalue);
        if (dvalue is not null) Check.Apart(Op, dvalue, query, key, value, mask, y, logSumExp, dy);
        Device device = Check.Floats(Op, query, key, value, y, logSumExp, dy, dquery, dkey, dvalue);
        if (dquery is null && dkey is null && dvalue is null) return;
        switch (device)
        {
            case CpuDevice cpu:
                CpuAttention.Backward(cpu, query, key, value, mask, y, logSumExp, dy, dquery, dkey, dvalue, sizes, (float)scale);
                break;
            case GpuDevice gpu:
                GpuAttention.Backward(gpu, query, key, value, mask, y, logSumExp, dy, dquery, dkey, dvalue, sizes, (float)scale);
                break;
            case ReferenceDevice:
                ReferenceBackward(query, key, value, mask, y, logSumExp, dy, dquery, dkey, dvalue, sizes, scale);
                break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>The shape of z, [batch, heads, seq].</summary>
    /// <param name="query">[batch, seq, heads, dim].</param>
    /// <exception cref="ShapeException">The query has another number of dimensions.</exception>
    public static Shape StatisticsShape(Tensor query)
    {
        Check.HasRank(Op, query, 4);
        return [query.Shape[0], query.Shape[2], query.Shape[1]];
    }

    private static AttentionSizes CheckAll(
        Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor y, Tensor logSumExp, AttentionOptions options, out double scale)
    {
        var sizes = new AttentionSizes(Op, query, key, value, mask, options);
        Check.SameShape(Op, query, y);
        Check.HasShape(Op, logSumExp, StatisticsShape(query));
        Check.OneDevice(Op, query, mask);
        if (mask is not null) Check.HasDType(Op, mask, DType.Int32);
        scale = options.Scale ?? 1 / Math.Sqrt(sizes.Dim);
        if (!float.IsFinite((float)scale))
            throw new NonFiniteException(FormattableString.Invariant($"{Op}: the scale {scale} is not a finite float32"));
        return sizes;
    }
}
