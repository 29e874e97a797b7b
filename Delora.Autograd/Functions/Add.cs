using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Elementwise sum, a + b; see <see cref="AddKernel"/>.</summary>
    /// <param name="a">Any shape.</param>
    /// <param name="b">The shape of a.</param>
    /// <returns>The shape of a.</returns>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    public static Tensor Add(this Tensor a, Tensor b)
    {
        Tape? tape = Tape.For(a, b);
        using var y = new Output(a.Shape, a);
        AddKernel.Forward(a, b, y);
        tape?.Record(new AddFunction(a, b, y), y);
        return y.Keep();
    }

    private sealed class AddFunction(Tensor a, Tensor b, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Take(y);
            if (flow.Needs(a) && flow.Needs(b)) flow.AddToBoth(a, b, dy);
            else flow.Add(flow.Needs(b) ? b : a, dy);
        }
    }
}
