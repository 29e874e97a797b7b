using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Layer norm over the last dimension, (x − mean)/√(variance + ε)∘w + b; see <see cref="LayerNormKernel"/>.</summary>
    /// <param name="x">[.., dim].</param>
    /// <param name="weight">[dim].</param>
    /// <param name="bias">[dim]; null for none.</param>
    /// <param name="epsilon">ε ≥ 0.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException">ε is negative or not finite.</exception>
    public static Tensor LayerNorm(this Tensor x, Tensor weight, Tensor? bias, double epsilon)
    {
        Tape? tape = Tape.For(x, weight, bias);
        using var y = new Output(x.Shape, x);
        using var statistics = new Output(LayerNormKernel.StatisticsShape(x), x, "LayerNorm.statistics");
        LayerNormKernel.Forward(x, weight, bias, y, statistics, epsilon);
        tape?.Record(new NormalizationFunction(x, weight, bias, statistics.Keep(), y, LayerNormKernel.Backward), y);
        return y.Keep();
    }
}
