using Delora.Core;
using Delora.Nn;

namespace Delora.Bench.Compare;

/// <summary>Sequences to train a language model on: ids and targets, both of a shape [batch, seq].</summary>
internal sealed record TokenBatch(int[] Ids, int[] Targets, Shape Shape)
{
    /// <summary>A trainer whose passes can be recorded.</summary>
    /// <param name="optimizer">Of the parameters.</param>
    /// <param name="loss">From ids and targets.</param>
    /// <param name="device">Where it is computed.</param>
    internal static Trainer<TokenBatch> Trainer(Optimizer optimizer, Func<Tensor, Tensor, Tensor> loss, Device device) => new(
        optimizer, batch => loss(Tensor.FromIndices(batch.Ids, batch.Shape, device, "ids"), Tensor.FromIndices(batch.Targets, batch.Shape, device, "targets")))
    {
        Recordable = new RecordableLoss<TokenBatch>(
            batch => [new("ids", batch.Ids, batch.Shape), new("targets", batch.Targets, batch.Shape, batch.Targets.Length)],
            inputs => loss(inputs[0], inputs[1])),
    };

    /// <summary>Rows of length + 1 tokens, one behind the other: all but the last are ids, all but the first are targets.</summary>
    internal static TokenBatch Of(int[] tokens, int batch, int length)
    {
        return new(From(0), From(1), [batch, length]);

        int[] From(int first) =>
            [.. Enumerable.Range(0, batch).SelectMany(row => tokens.AsSpan(row * (length + 1) + first, length).ToArray())];
    }
}
