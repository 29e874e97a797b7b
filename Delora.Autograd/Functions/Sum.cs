using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>The sum of all elements; see <see cref="SumKernel"/>.</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>A scalar, [].</returns>
    public static Tensor Sum(this Tensor x)
    {
        Tape? tape = Tape.For(x);
        using var y = new Output([], x);
        SumKernel.Forward(x, y);
        tape?.Record(new SumFunction(x, y), y);
        return y.Keep();
    }

    /// <summary>The sum of each row, that is over the last dimension; see <see cref="SumKernel"/>.</summary>
    /// <param name="x">[.., columns].</param>
    /// <returns>[..]: the shape of x without its last dimension.</returns>
    public static Tensor SumRows(this Tensor x)
    {
        Tape? tape = Tape.For(x);
        using var y = new Output(RowShape.Of("Sum", x), x);
        SumKernel.ForwardRows(x, y);
        tape?.Record(new SumRowsFunction(x, y), y);
        return y.Keep();
    }

    private sealed class SumFunction(Tensor x, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dx = Tensor.Empty(x.Shape, x.DType, x.Device, "gradient of Sum");
            SumKernel.Backward(flow.Of(y), dx);
            flow.Add(x, dx);
        }
    }

    private sealed class SumRowsFunction(Tensor x, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dx = Tensor.Empty(x.Shape, x.DType, x.Device, "gradient of SumRows");
            SumKernel.BackwardRows(flow.Of(y), dx);
            flow.Add(x, dx);
        }
    }
}
