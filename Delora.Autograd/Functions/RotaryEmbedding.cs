using Delora.Core;
using Delora.Kernels;

namespace Delora.Autograd;

public static partial class Functions
{
    /// <summary>Rotary position embedding of queries or keys; see <see cref="RotaryEmbeddingKernel"/>.</summary>
    /// <param name="x">[batch, seq, heads, dim], dim even.</param>
    /// <param name="cos">Cosines, [maxPositions, dim/2]; constants.</param>
    /// <param name="sin">Sines, [maxPositions, dim/2]; constants.</param>
    /// <param name="positions">
    /// int32 [batch, seq], or null for start, start + 1, … Must not change before the backward pass.
    /// </param>
    /// <param name="start">Position of the first token of each sequence; 0 where positions are given.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">The shapes do not fit, or the sequence goes beyond the table.</exception>
    /// <exception cref="ArgumentOutOfRangeException">start is negative, or not 0 beside given positions.</exception>
    /// <exception cref="IndexException">A given position is negative, or not below maxPositions.</exception>
    /// <exception cref="GradientException">A gradient towards cos or sin is asked for.</exception>
    public static Tensor RotaryEmbedding(this Tensor x, Tensor cos, Tensor sin, Tensor? positions = null, int start = 0)
    {
        foreach (Tensor table in (ReadOnlySpan<Tensor>)[cos, sin])
            if (table.GradientState is not null)
                throw new GradientException(
                    $"RotaryEmbedding: '{table.Name}' {table.Shape} requires a gradient; cosines and sines are constants.");
        Tape? tape = Tape.For(x);
        using var y = new Output(x.Shape, x);
        RotaryEmbeddingKernel.Forward(x, cos, sin, positions, start, y);
        tape?.Record(new RotaryEmbeddingFunction(x, cos, sin, positions, start, y), y);
        return y.Keep();
    }

    private sealed class RotaryEmbeddingFunction(Tensor x, Tensor cos, Tensor sin, Tensor? positions, int start, Tensor y) : Function
    {
        protected internal override void Backward(GradientFlow flow)
        {
            Tensor dy = flow.Take(y);
            RotaryEmbeddingKernel.Backward(dy, cos, sin, positions, start, dy);
            flow.Add(x, dy);
        }
    }
}
