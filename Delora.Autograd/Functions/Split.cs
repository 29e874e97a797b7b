using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>
    /// The parts of a tensor along a dimension, each a tensor of its own: what <see cref="Concat"/> would put together again. Copies, so that the
    /// parts are contiguous; for a view of leading rows see <see cref="Slice"/>.
    /// </summary>
    /// <param name="x">The whole.</param>
    /// <param name="axis">0 ≤ axis &lt; rank.</param>
    /// <param name="sizes">The sizes of the parts along the axis, one or more; together the size of x there.</param>
    /// <returns>The parts, in order.</returns>
    /// <exception cref="ShapeException">There is no such dimension, or the sizes are not those of x together.</exception>
    public static Tensor[] Split(this Tensor x, int axis, params ReadOnlySpan<int> sizes)
    {
        Check.Shapes(axis >= 0 && axis < x.Shape.Rank, $"Split: {x.Shape} has no dimension {axis}");
        long sum = 0;
        foreach (int size in sizes)
        {
            Check.Shapes(size >= 0, $"Split: {size} is no size of a part of {x.Shape}");
            sum += size;
        }
        Check.Shapes(sizes.Length > 0 && sum == x.Shape[axis],
            $"Split: parts of {string.Join(" + ", sizes.ToArray())} are not dimension {axis} of {x.Shape} ({sum} ≠ {x.Shape[axis]})");
        Tape? tape = Tape.For(x);
        var parts = new Tensor[sizes.Length];
        try
        {
            int start = 0;
            for (int i = 0; i < parts.Length; i++)
            {
                int[] dims = [.. x.Shape.Dims];
                dims[axis] = sizes[i];
                parts[i] = Tensor.Empty(new Shape(dims), x.DType, x.Device, nameof(Split));
                ConcatKernel.Backward(x, axis, start, parts[i]);
                start += sizes[i];
            }
        }
        catch
        {
            foreach (Tensor? part in parts) part?.Dispose();
            throw;
        }
        tape?.Record(new SplitFunction(x, axis, parts), parts);
        return parts;
    }

    private sealed class SplitFunction(Tensor x, int axis, Tensor[] parts) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            var gradients = new Tensor[parts.Length];
            List<Tensor> zeros = [];
            try
            {
                for (int i = 0; i < parts.Length; i++)
                {
                    if (flow.TryGet(parts[i], out gradients[i]!)) continue;
                    // Nothing was computed from this part.
                    zeros.Add(gradients[i] = Tensor.Zeros(parts[i].Shape, x.DType, x.Device, "gradient of an unused part"));
                }
                Tensor dx = Tensor.Empty(x.Shape, x.DType, x.Device, $"gradient of {x.Name}");
                ConcatKernel.Forward(gradients, axis, dx);
                flow.Add(x, dx);
            }
            finally
            {
                foreach (Tensor tensor in zeros) tensor.Dispose();
            }
        }
    }
}
