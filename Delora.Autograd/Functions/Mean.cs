using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>The mean of all elements; see <see cref="MeanKernel"/>.</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>A scalar, [].</returns>
    public static Tensor Mean(this Tensor x)
    {
        Tape? tape = Tape.For(x);
        using var y = new Output([], x);
        MeanKernel.Forward(x, y);
        tape?.Record(new MeanFunction(x, y), y);
        return y.Keep();
    }

    /// <summary>The mean of each row, that is over the last dimension; see <see cref="MeanKernel"/>.</summary>
    /// <param name="x">[.., columns].</param>
    /// <returns>[..]: the shape of x without its last dimension.</returns>
    public static Tensor MeanRows(this Tensor x)
    {
        Tape? tape = Tape.For(x);
        using var y = new Output(RowShape.Of("Mean", x), x);
        MeanKernel.ForwardRows(x, y);
        tape?.Record(new MeanRowsFunction(x, y), y);
        return y.Keep();
    }

    private sealed class MeanFunction(Tensor x, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dx = Tensor.Empty(x.Shape, x.DType, x.Device, "gradient of Mean");
            MeanKernel.Backward(flow.Of(y), dx);
            flow.Add(x, dx);
        }
    }

    private sealed class MeanRowsFunction(Tensor x, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dx = Tensor.Empty(x.Shape, x.DType, x.Device, "gradient of MeanRows");
            MeanKernel.BackwardRows(flow.Of(y), dx);
            flow.Add(x, dx);
        }
    }
}
