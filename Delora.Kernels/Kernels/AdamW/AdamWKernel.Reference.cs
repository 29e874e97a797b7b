using Delora.Core;

namespace Delora.Kernels;

public static partial class AdamWKernel
{
    private static void ReferenceStep(Tensor p, Tensor g, Tensor m, Tensor v, Tensor? scale, in AdamWSettings settings, long step)
    {
        Span<double> x = p.Span<double>(), dx = g.Span<double>(), first = m.Span<double>(), second = v.Span<double>();
        double c = scale is null ? 1 : scale.Span<double>()[0];
        double correction1 = 1 - Math.Pow(settings.Beta1, step), correction2 = 1 - Math.Pow(settings.Beta2, step);
        for (int i = 0; i < x.Length; i++)
        {
            double gradient = c * dx[i];
            x[i] *= 1 - settings.LearningRate * settings.WeightDecay;
            first[i] = settings.Beta1 * first[i] + (1 - settings.Beta1) * gradient;
            second[i] = settings.Beta2 * second[i] + (1 - settings.Beta2) * gradient * gradient;
            double denominator = Math.Sqrt(second[i]) / Math.Sqrt(correction2) + settings.Epsilon;
            x[i] -= settings.LearningRate / correction1 * first[i] / denominator;
        }
    }
}
