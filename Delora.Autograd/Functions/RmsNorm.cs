using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Root mean square norm over the last dimension, x∘w/√(mean(x²) + ε); see <see cref="RmsNormKernel"/>.</summary>
    /// <param name="x">[.., dim].</param>
    /// <param name="weight">[dim].</param>
    /// <param name="epsilon">ε ≥ 0.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException">ε is negative or not finite.</exception>
    public static Tensor RmsNorm(this Tensor x, Tensor weight, double epsilon)
    {
        Tape? tape = Tape.For(x, weight);
        using var y = new Output(x.Shape, x);
        using var inverseRms = new Output(RowShape.Of(nameof(RmsNorm), x), x, "RmsNorm.inverseRms");
        RmsNormKernel.Forward(x, weight, y, inverseRms, epsilon);
        tape?.Record(new NormalizationFunction(x, weight, null, inverseRms.Keep(), y, RmsNormKernel.Backward), y);
        return y.Keep();
    }
}
