using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Tensors one after another along a dimension; see <see cref="ConcatKernel"/>.</summary>
    /// <param name="axis">0 for rows: [r1, in], [r2, in] → [r1 + r2, in]; 1 for columns: [out, r1], [out, r2] → [out, r1 + r2].</param>
    /// <param name="parts">One or more, alike in every other dimension.</param>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static Tensor Concat(int axis, params ReadOnlySpan<Tensor> parts)
    {
        Tape? tape = Tape.For(parts);
        using var y = new Output(ConcatKernel.ShapeOf(parts, axis), parts[0]);
        ConcatKernel.Forward(parts, axis, y);
        tape?.Record(new ConcatFunction(parts.ToArray(), axis, y), y);
        return y.Keep();
    }

    private sealed class ConcatFunction(Tensor[] parts, int axis, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Of(y);
            int start = 0;
            foreach (Tensor part in parts)
            {
                if (flow.Needs(part))
                {
                    Tensor dPart = Tensor.Empty(part.Shape, dy.DType, dy.Device, "dPart");
                    ConcatKernel.Backward(dy, axis, start, dPart);
                    flow.Add(part, dPart);
                }
                start += part.Shape[axis];
            }
        }
    }
}
