using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Matrix product op(a)·op(b); see <see cref="MatMulKernel"/>.</summary>
    /// <param name="a">[m, k], or [k, m] for TN; or with a leading batch.</param>
    /// <param name="b">[k, n], or [n, k] for NT; with a leading batch where a has one.</param>
    /// <param name="layout">Which operand is transposed.</param>
    /// <returns>[m, n] or [batch, m, n].</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static Tensor MatMul(this Tensor a, Tensor b, MatMulLayout layout = MatMulLayout.NN)
    {
        Tape? tape = Tape.For(a, b);
        using var c = new Output(MatMulKernel.OutputShape(a, b, layout), a);
        MatMulKernel.Forward(a, b, c, layout);
        tape?.Record(new MatMulFunction(a, b, c, layout), c);
        return c.Keep();
    }

    private sealed class MatMulFunction(Tensor a, Tensor b, Tensor c, MatMulLayout layout) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dc = flow.Of(c);
            if (flow.Needs(a))
            {
                Tensor da = flow.Target(a, out bool accumulate);
                switch (layout)
                {
                    case MatMulLayout.NN: MatMulKernel.Forward(dc, b, da, MatMulLayout.NT, accumulate: accumulate); break;
                    case MatMulLayout.NT: MatMulKernel.Forward(dc, b, da, MatMulLayout.NN, accumulate: accumulate); break;
                    default: MatMulKernel.Forward(b, dc, da, MatMulLayout.NT, accumulate: accumulate); break;
                }
            }
            if (flow.Needs(b))
            {
                Tensor db = flow.Target(b, out bool accumulate);
                switch (layout)
                {
                    case MatMulLayout.NN: MatMulKernel.Forward(a, dc, db, MatMulLayout.TN, accumulate: accumulate); break;
                    case MatMulLayout.NT: MatMulKernel.Forward(dc, a, db, MatMulLayout.TN, accumulate: accumulate); break;
                    default: MatMulKernel.Forward(a, dc, db, MatMulLayout.NN, accumulate: accumulate); break;
                }
            }
        }
    }
}
