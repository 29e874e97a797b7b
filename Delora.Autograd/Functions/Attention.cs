using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>
    /// Scaled dot-product attention; see <see cref="AttentionKernel"/>. Between the passes only the operands, the result and a number for
    /// each query and head are kept.
    /// </summary>
    /// <param name="query">[batch, seq, heads, dim].</param>
    /// <param name="key">[batch, capacity, kvHeads, dim]; heads must be a multiple of kvHeads.</param>
    /// <param name="value">[batch, capacity, kvHeads, dim].</param>
    /// <param name="mask">
    /// int32 [batch, capacity]: 0 where the key is padding; null for no padding. Must not change before the backward pass.
    /// </param>
    /// <param name="causal">Whether query t sees no key after its own, the last seq keys being those of the queries.</param>
    /// <param name="keys">How many rows of key and value are there; null for all. Rows beyond are not read, and get zero gradients.</param>
    /// <param name="scale">What the scores are multiplied by; null for 1/√dim.</param>
    /// <param name="window">How many keys up to its own a query sees at most; null for all. Later keys are a matter of causality. See <see cref="AttentionOptions.Window"/>.</param>
    /// <returns>[batch, seq, heads, dim]; zeros for a query that may attend to nothing.</returns>
    /// <exception cref="ShapeException">
    /// The shapes do not fit, a causal attention has fewer keys than queries, or the window is empty.
    /// </exception>
    /// <exception cref="NonFiniteException">The scale is not a finite float32.</exception>
    public static Tensor Attention(
        this Tensor query, Tensor key, Tensor value, Tensor? mask = null, bool causal = true, int? keys = null, double? scale = null,
        int? window = null)
    {
        Tape? tape = Tape.For(query, key, value);
        var options = new AttentionOptions { Causal = causal, Keys = keys, Scale = scale, Window = window };
        using var logSumExp = new Output(AttentionKernel.StatisticsShape(query), query, "Attention.logSumExp");
        using var y = new Output(query.Shape, query);
        AttentionKernel.Forward(query, key, value, mask, y, logSumExp, options);
        tape?.Record(new AttentionFunction(query, key, value, mask, logSumExp.Keep(), y, options), y);
        return y.Keep();
    }

    private sealed class AttentionFunction : Function
    {
        private readonly Tensor _query, _key, _value, _logSumExp, _y;
        private readonly Tensor? _mask;
        private readonly AttentionOptions _options;

        internal AttentionFunction(
            Tensor query, Tensor key, Tensor value, Tensor? mask, Tensor logSumExp, Tensor y, AttentionOptions options)
        {
            (_query, _key, _value, _mask, _logSumExp, _y, _options) = (query, key, value, mask, Save(logSumExp), y, options);
        }

        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Of(_y);
            Tensor? dquery = GradientOf(_query), dkey = GradientOf(_key), dvalue = GradientOf(_value);
            AttentionKernel.Backward(_query, _key, _value, _mask, _y, _logSumExp, dy, dquery, dkey, dvalue, _options);
            if (dquery is not null) flow.Add(_query, dquery);
            if (dkey is not null) flow.Add(_key, dkey);
            if (dvalue is not null) flow.Add(_value, dvalue);

            Tensor? GradientOf(Tensor input) =>
                flow.Needs(input) ? Tensor.Empty(input.Shape, input.DType, input.Device, "gradient of Attention") : null;
        }
    }
}
