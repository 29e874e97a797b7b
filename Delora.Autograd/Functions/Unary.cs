using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Autograd;

/// <summary>What the functions of one tensor share whose result has its shape and whose gradient may overwrite the one that came in.</summary>
public static partial class Functions
{
    /// <param name="x">The operand.</param>
    /// <param name="forward">The kernel, (x, y).</param>
    /// <param name="backward">Its derivative, (x or y, dy, dx); dx may be dy.</param>
    /// <param name="fromResult">Whether the derivative is computed from y instead of x.</param>
    /// <param name="name">The function.</param>
    private static Tensor Unary(
        Tensor x, Action<Tensor, Tensor> forward, Action<Tensor, Tensor, Tensor> backward, bool fromResult, [CallerMemberName] string name = "")
    {
        Tape? tape = Tape.For(x);
        using var y = new Output(x.Shape, x, name);
        forward(x, y);
        tape?.Record(new UnaryFunction(x, y, backward, fromResult), y);
        return y.Keep();
    }

    private sealed class UnaryFunction(Tensor x, Tensor y, Action<Tensor, Tensor, Tensor> backward, bool fromResult) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Take(y);
            backward(fromResult ? y : x, dy, dy);
            flow.Add(x, dy);
        }
    }
}
