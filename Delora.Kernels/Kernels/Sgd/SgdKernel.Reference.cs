using Delora.Core;

namespace Delora.Kernels;

public static partial class SgdKernel
{
    private static void ReferenceStep(Tensor p, Tensor g, Tensor? buffer, Tensor? scale, in SgdSettings settings, bool first)
    {
        Span<double> x = p.Span<double>(), dx = g.Span<double>();
        double c = scale is null ? 1 : scale.Span<double>()[0];
        for (int i = 0; i < x.Length; i++)
        {
            double direction = c * dx[i] + settings.WeightDecay * x[i];
            if (buffer is not null)
            {
                ref double b = ref buffer.Span<double>()[i];
                b = first ? direction : settings.Momentum * b + direction;
                direction = settings.Nesterov ? direction + settings.Momentum * b : b;
            }
            x[i] -= settings.LearningRate * direction;
        }
    }
}
