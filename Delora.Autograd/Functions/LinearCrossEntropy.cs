using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>
    /// The mean cross-entropy of the scores x Wᵀ with class labels, without a tensor of all scores; see <see cref="LinearCrossEntropyKernel"/>.
    /// W gets no gradient. Between the passes the gradient of x is kept, in place of everything else.
    /// </summary>
    /// <param name="x">[.., dim]</param>
    /// <param name="weight">W [vocab, dim]</param>
    /// <param name="labels">int32 [..]: a row of W, or <paramref name="ignoreIndex"/>.</param>
    /// <param name="ignoreIndex">The label of rows that do not count.</param>
    /// <returns>The loss, a scalar [].</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="IndexException">A label is neither a row of W nor <paramref name="ignoreIndex"/>, or all are ignored.</exception>
    public static Tensor LinearCrossEntropy(
        this Tensor x, FrozenWeight weight, Tensor labels, int ignoreIndex = CrossEntropyKernel.IgnoreIndex)
    {
        Tape? tape = Tape.For(x);
        using var loss = new Output([], x);
        if (tape is null)
        {
            LinearCrossEntropyKernel.Forward(x, weight, labels, loss, null, ignoreIndex);
            return loss.Keep();
        }
        using var dx = new Output(x.Shape, x, "LinearCrossEntropy.dx");
        LinearCrossEntropyKernel.Forward(x, weight, labels, loss, dx, ignoreIndex);
        tape.Record(new LinearCrossEntropyFunction(loss, [(x, dx.Keep())]), loss);
        return loss.Keep();
    }

    /// <summary>The same over a weight that is trained, for instance a tied embedding; both gradients are kept between the passes.</summary>
    /// <inheritdoc cref="LinearCrossEntropy(Tensor, FrozenWeight, Tensor, int)"/>
    public static Tensor LinearCrossEntropy(this Tensor x, Tensor weight, Tensor labels, int ignoreIndex = CrossEntropyKernel.IgnoreIndex)
    {
        Tape? tape = Tape.For(x, weight);
        using var loss = new Output([], x);
        if (tape is null)
        {
            LinearCrossEntropyKernel.Forward(x, weight, labels, loss, null, null, ignoreIndex);
            return loss.Keep();
        }
        using var scope = new TensorScope("LinearCrossEntropy");
        Tensor? dx = Wanted(x, "dx"), dweight = Wanted(weight, "dweight");
        LinearCrossEntropyKernel.Forward(x, weight, labels, loss, dx, dweight, ignoreIndex);
        List<(Tensor, Tensor)> gradients = [];
        if (dx is not null) gradients.Add((x, scope.Keep(dx)));
        if (dweight is not null) gradients.Add((weight, scope.Keep(dweight)));
        tape.Record(new LinearCrossEntropyFunction(loss, gradients), loss);
        return loss.Keep();

        static Tensor? Wanted(Tensor input, string name) =>
            input.GradientState is null ? null : Tensor.Empty(input.Shape, input.DType, input.Device, $"LinearCrossEntropy.{name}");
    }

    private sealed class LinearCrossEntropyFunction : Function
    {
        private readonly Tensor _loss;
        private readonly IReadOnlyList<(Tensor Input, Tensor Gradient)> _gradients;

        internal LinearCrossEntropyFunction(Tensor loss, IReadOnlyList<(Tensor Input, Tensor Gradient)> gradients)
        {
            (_loss, _gradients) = (loss, gradients);
            foreach ((_, Tensor gradient) in gradients) Save(gradient);
        }

        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dloss = flow.Of(_loss);
            foreach ((Tensor input, Tensor saved) in _gradients)
            {
                // Not in place: another pass over the same tape may follow.
                Tensor gradient = flow.Target(input, out bool accumulate);
                LinearCrossEntropyKernel.Backward(dloss, saved, gradient, accumulate);
            }
        }
    }
}
