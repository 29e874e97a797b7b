using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

/// <summary>What norms over the last dimension share: the way back to x, the weight and, where there is one, the bias.</summary>
public static partial class Functions
{
    private sealed class NormalizationFunction : Function
    {
        private readonly Tensor _x, _weight, _statistics, _y;
        private readonly Tensor? _bias;
        private readonly Action<Tensor, Tensor, Tensor, Tensor, Tensor?, Tensor?, bool, bool> _backward;

        // backward is the kernel (x, weight, statistics, dy, dx, dweight, accumulate, accumulateWeight); dx may be dy.
        internal NormalizationFunction(
            Tensor x, Tensor weight, Tensor? bias, Tensor statistics, Tensor y,
            Action<Tensor, Tensor, Tensor, Tensor, Tensor?, Tensor?, bool, bool> backward)
        {
            (_x, _weight, _bias, _statistics, _y, _backward) = (x, weight, bias, Save(statistics), y, backward);
        }

        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Of(_y);
            AddBiasGradient(flow, _bias, dy);
            bool accumulateWeight = false;
            Tensor? dweight = flow.Needs(_weight) ? flow.Target(_weight, out accumulateWeight) : null;
            if (!flow.Needs(_x))
            {
                if (dweight is not null) _backward(_x, _weight, _statistics, dy, null, dweight, false, accumulateWeight);
            }
            // The residual connection around a block has usually left its gradient there before.
            else if (flow.TryGet(_x, out _))
            {
                Tensor sum = flow.Target(_x, out _);
                _backward(_x, _weight, _statistics, dy, sum, dweight, true, accumulateWeight);
            }
            else
            {
                dy = flow.Take(_y);
                _backward(_x, _weight, _statistics, dy, dy, dweight, false, accumulateWeight);
                flow.Add(_x, dy);
            }
        }
    }
}
