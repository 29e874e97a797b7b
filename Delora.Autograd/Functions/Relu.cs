using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

/// <summary>The operations on tensors, as extension methods: one file each. Every one is recorded by the current <see cref="Tape"/>.</summary>
public static partial class Functions
{
    /// <summary>Rectified linear unit, max(x, 0), elementwise; see <see cref="ReluKernel"/>.</summary>
    /// <param name="x">Any shape.</param>
    /// <returns>The shape of x.</returns>
    public static Tensor Relu(this Tensor x)
    {
        Tape? tape = Tape.For(x);
        using var y = new Output(x.Shape, x);
        ReluKernel.Forward(x, y);
        tape?.Record(new ReluFunction(x, y), y);
        return y.Keep();
    }

    private sealed class ReluFunction(Tensor x, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Take(y);
            ReluKernel.Backward(x, dy, dy);
            flow.Add(x, dy);
        }
    }
}
