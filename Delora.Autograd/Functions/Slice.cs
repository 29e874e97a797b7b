using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Some of the leading dimension, x[start … start + count − 1]: a view, without a copy.</summary>
    /// <param name="x">[rows, …].</param>
    /// <param name="start">First row.</param>
    /// <param name="count">Rows.</param>
    /// <returns>[count, …].</returns>
    /// <exception cref="ShapeException">The rows do not lie within x.</exception>
    public static Tensor Slice(this Tensor x, int start, int count)
    {
        Check.Shapes(x.Shape.Rank >= 1 && start >= 0 && count >= 0 && start <= x.Shape[0] - count,
            $"Slice: {count} rows from row {start} do not lie within {x.Shape}");
        Tape? tape = Tape.For(x);
        int[] dims = [.. x.Shape.Dims];
        dims[0] = count;
        long offset = start * new Shape(x.Shape.Dims[1..]).ElementCount;
        Tensor y = x.View(new Shape(dims), offset);
        tape?.Record(new SliceFunction(x, offset, y), y);
        return y;
    }

    private sealed class SliceFunction(Tensor x, long offset, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dx = flow.Target(x, out bool accumulate);
            using Tensor rows = dx.View(y.Shape, offset);
            if (accumulate)
            {
                AddKernel.Forward(rows, flow.Of(y), rows);
                return;
            }
            dx.FillZero();
            rows.CopyFrom(flow.Of(y));
        }
    }
}
