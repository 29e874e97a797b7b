using Delora.Core;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>The same elements under another shape: a view, without a copy.</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="shape">As many elements as x has.</param>
    /// <exception cref="ShapeException">The number of elements differs.</exception>
    public static Tensor Reshape(this Tensor x, Shape shape)
    {
        Check.Shapes(shape.ElementCount == x.ElementCount,
            $"Reshape: {x.Shape} has {x.ElementCount} elements, {shape} has {shape.ElementCount}");
        Tape? tape = Tape.For(x);
        Tensor y = x.View(shape);
        tape?.Record(new ReshapeFunction(x, y), y);
        return y;
    }

    private sealed class ReshapeFunction(Tensor x, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            using Tensor dy = flow.Take(y);
            flow.Add(x, dy.View(x.Shape));
        }
    }
}
