using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>A gated sigmoid linear unit, silu(gate)∘up; see <see cref="SwiGluKernel"/>.</summary>
    /// <param name="gate">Any shape.</param>
    /// <param name="up">The shape of gate.</param>
    /// <returns>The shape of gate.</returns>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    public static Tensor SwiGlu(this Tensor gate, Tensor up)
    {
        Tape? tape = Tape.For(gate, up);
        using var y = new Output(gate.Shape, gate);
        SwiGluKernel.Forward(gate, up, y);
        tape?.Record(new SwiGluFunction(gate, up, y), y);
        return y.Keep();
    }

    private sealed class SwiGluFunction(Tensor gate, Tensor up, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            bool both = flow.Needs(gate) && flow.Needs(up);
            using var second = new Output(both ? gate.Shape : [0], gate, "SwiGlu.dup");
            Tensor dy = flow.Take(y);
            if (both) SwiGluKernel.Backward(gate, up, dy, dy, second);
            else SwiGluKernel.Backward(gate, up, dy, flow.Needs(gate) ? dy : null, flow.Needs(up) ? dy : null);
            flow.Add(flow.Needs(gate) ? gate : up, dy);
            if (both) flow.Add(up, second.Keep());
        }
    }
}
