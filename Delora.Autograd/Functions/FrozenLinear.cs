using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>A linear layer over a frozen weight: y = x Wᵀ + bias; see <see cref="FrozenLinearKernel"/>. W gets no gradient.</summary>
    /// <param name="x">[…, in]</param>
    /// <param name="weight">W [out, in]</param>
    /// <param name="bias">[out]; null for none.</param>
    /// <returns>[…, out]</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static Tensor FrozenLinear(this Tensor x, FrozenWeight weight, Tensor? bias = null)
    {
        Tape? tape = Tape.For(x, bias);
        using var y = new Output(OutputShape(x, weight.Out), x);
        using (Tensor rows = AsRows(x), result = AsRows(y)) FrozenLinearKernel.Forward(rows, weight, bias, result);
        tape?.Record(new FrozenLinearFunction(x, weight, bias, y), y);
        return y.Keep();
    }

    /// <summary>The shape of x with another last dimension.</summary>
    private static Shape OutputShape(Tensor x, int columns)
    {
        if (x.Shape.Rank == 0) throw new ShapeException($"A linear layer wants at least one dimension: '{x.Name}' is a scalar.");
        return x.Shape.WithColumns(columns);
    }

    /// <summary>A view of x with its leading dimensions flattened into one: [N, columns].</summary>
    private static Tensor AsRows(Tensor x) => x.View([checked((int)x.Shape.Rows), x.Shape.Columns]);

    private sealed class FrozenLinearFunction(Tensor x, FrozenWeight weight, Tensor? bias, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            using Tensor dy = AsRows(flow.Of(y));
            AddBiasGradient(flow, bias, dy);
            if (!flow.Needs(x)) return;
            using Tensor dx = AsRows(flow.Target(x, out bool accumulate));
            FrozenLinearKernel.Backward(dy, weight, dx, accumulate);
        }
    }
}
