using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Autograd;

/// <summary>What the functions share that reduce one tensor, and whose gradient follows from that of the result alone.</summary>
public static partial class Functions
{
    /// <param name="x">The operand.</param>
    /// <param name="shape">Shape of the result.</param>
    /// <param name="forward">The kernel, (x, y).</param>
    /// <param name="backward">Its derivative, (dy, dx).</param>
    /// <param name="name">The function.</param>
    private static Tensor Reduction(
        Tensor x, Shape shape, Action<Tensor, Tensor> forward, Action<Tensor, Tensor> backward, [CallerMemberName] string name = "")
    {
        Tape? tape = Tape.For(x);
        using var y = new Output(shape, x, name);
        forward(x, y);
        tape?.Record(new ReductionFunction(x, y, backward, name), y);
        return y.Keep();
    }

    private sealed class ReductionFunction(Tensor x, Tensor y, Action<Tensor, Tensor> backward, string name) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dx = Tensor.Empty(x.Shape, x.DType, x.Device, $"gradient of {name}");
            backward(flow.Of(y), dx);
            flow.Add(x, dx);
        }
    }
}
