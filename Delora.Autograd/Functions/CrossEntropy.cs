using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>The mean cross-entropy of logits with class labels; see <see cref="CrossEntropyKernel"/>.</summary>
    /// <param name="logits">[.., classes].</param>
    /// <param name="labels">int32 [..]: a class, or <paramref name="ignoreIndex"/>. Must not change before the backward pass.</param>
    /// <param name="ignoreIndex">The label of rows that do not count.</param>
    /// <returns>The loss, a scalar [].</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="IndexException">A label is neither a class nor <paramref name="ignoreIndex"/>, or all are ignored.</exception>
    public static Tensor CrossEntropy(this Tensor logits, Tensor labels, int ignoreIndex = CrossEntropyKernel.IgnoreIndex)
    {
        Tape? tape = Tape.For(logits);
        using var loss = new Output([], logits);
        using var logSumExp = new Output(RowShape.Of("CrossEntropy", logits), logits, "CrossEntropy.logSumExp");
        int count = CrossEntropyKernel.Forward(logits, labels, loss, logSumExp, ignoreIndex);
        tape?.Record(new CrossEntropyFunction(logits, labels, logSumExp.Keep(), loss, count, ignoreIndex), loss);
        return loss.Keep();
    }

    /// <summary>The cross-entropy of each row, 0 where it is ignored; see <see cref="CrossEntropyKernel"/>.</summary>
    /// <param name="logits">[.., classes].</param>
    /// <param name="labels">int32 [..]: a class, or <paramref name="ignoreIndex"/>. Must not change before the backward pass.</param>
    /// <param name="ignoreIndex">The label of rows that do not count.</param>
    /// <returns>The losses, [..].</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="IndexException">A label is neither a class nor <paramref name="ignoreIndex"/>.</exception>
    public static Tensor CrossEntropyRows(this Tensor logits, Tensor labels, int ignoreIndex = CrossEntropyKernel.IgnoreIndex)
    {
        Tape? tape = Tape.For(logits);
        Shape rows = RowShape.Of("CrossEntropy", logits);
        using var losses = new Output(rows, logits);
        using var logSumExp = new Output(rows, logits, "CrossEntropyRows.logSumExp");
        CrossEntropyKernel.ForwardRows(logits, labels, losses, logSumExp, ignoreIndex);
        tape?.Record(new CrossEntropyFunction(logits, labels, logSumExp.Keep(), losses, null, ignoreIndex), losses);
        return losses.Keep();
    }

    /// <summary>Of the mean over <c>count</c> rows or, where it is null, of each row.</summary>
    private sealed class CrossEntropyFunction : Function
    {
        private readonly Tensor _logits, _labels, _logSumExp, _loss;
        private readonly int? _count;
        private readonly int _ignoreIndex;

        internal CrossEntropyFunction(Tensor logits, Tensor labels, Tensor logSumExp, Tensor loss, int? count, int ignoreIndex)
        {
            (_logits, _labels, _logSumExp, _loss, _count, _ignoreIndex) = (logits, labels, Save(logSumExp), loss, count, ignoreIndex);
        }

        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dlogits = Tensor.Empty(_logits.Shape, _logits.DType, _logits.Device, "gradient of CrossEntropy");
            Tensor dloss = flow.Of(_loss);
            if (_count is { } count) CrossEntropyKernel.Backward(_logits, _labels, _logSumExp, dloss, dlogits, count, _ignoreIndex);
            else CrossEntropyKernel.BackwardRows(_logits, _labels, _logSumExp, dloss, dlogits, _ignoreIndex);
            flow.Add(_logits, dlogits);
        }
    }
}
