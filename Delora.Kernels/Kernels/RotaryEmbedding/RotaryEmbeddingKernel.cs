using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Rotary position embedding in two halves: elements i and i + dim/2 of a head are a pair that is turned by the angle of its position,
/// y_i = x_i·cos_i − x_(i + dim/2)·sin_i and y_(i + dim/2) = x_(i + dim/2)·cos_i + x_i·sin_i for i &lt; dim/2. Backward: the same turn
/// by the negative angle.
/// <para>The position of a token is the one given for it or, where none are given, <c>start</c> plus its place in the sequence.</para>
/// </summary>
/// <remarks>Su et al.: "RoFormer", 2021, equation 34, with the pairs of <c>rotate_half</c> in Hugging Face's Llama.</remarks>
public static partial class RotaryEmbeddingKernel
{
    private const string Op = "RotaryEmbedding";

    /// <summary>Turns each pair by the angle of its position.</summary>
    /// <param name="x">[batch, seq, heads, dim], dim even.</param>
    /// <param name="cos">Cosines, [maxPositions, dim/2].</param>
    /// <param name="sin">Sines, [maxPositions, dim/2].</param>
    /// <param name="positions">int32 [batch, seq], or null for start, start + 1, …</param>
    /// <param name="start">Position of the first token of each sequence; 0 where positions are given.</param>
    /// <param name="y">Output, the shape of x; may be x itself.</param>
    /// <exception cref="ShapeException">The shapes do not fit, or the sequence goes beyond the table.</exception>
    /// <exception cref="ArgumentOutOfRangeException">start is negative, or not 0 beside given positions.</exception>
    /// <exception cref="IndexException">A given position is negative, or not below maxPositions.</exception>
    public static void Forward(Tensor x, Tensor cos, Tensor sin, Tensor? positions, int start, Tensor y)
    {
        Check.SameShape(Op, x, y);
        Check.SameOrApart(Op, y, x);
        Rotate(x, cos, sin, positions, start, y, backward: false);
    }

    /// <summary>Turns each pair back.</summary>
    /// <param name="dy">Gradient of the output, [batch, seq, heads, dim].</param>
    /// <param name="cos">As in the forward pass.</param>
    /// <param name="sin">As in the forward pass.</param>
    /// <param name="positions">As in the forward pass.</param>
    /// <param name="start">As in the forward pass.</param>
    /// <param name="dx">Gradient of the input; may be dy itself.</param>
    /// <exception cref="ShapeException">The shapes do not fit, or the sequence goes beyond the table.</exception>
    /// <exception cref="ArgumentOutOfRangeException">start is negative, or not 0 beside given positions.</exception>
    /// <exception cref="IndexException">A given position is negative, or not below maxPositions.</exception>
    public static void Backward(Tensor dy, Tensor cos, Tensor sin, Tensor? positions, int start, Tensor dx)
    {
        Check.SameShape(Op, dy, dx);
        Check.SameOrApart(Op, dx, dy);
        Rotate(dy, cos, sin, positions, start, dx, backward: true);
    }

    private static void Rotate(Tensor x, Tensor cos, Tensor sin, Tensor? positions, int start, Tensor y, bool backward)
    {
        Device device = CheckAll(x, cos, sin, positions, start, y);
        switch (device)
        {
            case CpuDevice cpu: CpuRotaryEmbedding.Rotate(cpu, x, cos, sin, positions, start, y, backward); break;
            case GpuDevice gpu: GpuRotaryEmbedding.Rotate(gpu, x, cos, sin, positions, start, y, backward); break;
            case ReferenceDevice: ReferenceRotate(x, cos, sin, positions, start, y, backward); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    private static Device CheckAll(Tensor x, Tensor cos, Tensor sin, Tensor? positions, int start, Tensor y)
    {
        Check.HasRank(Op, x, 4);
        Check.Shapes(x.Shape[3] % 2 == 0, $"{Op}: the last dimension must be even to be halved: {x.Shape}");
        Check.SameShape(Op, cos, sin);
        Check.Shapes(cos.Shape.Rank == 2 && cos.Shape[1] == x.Shape[3] / 2,
            $"{Op}: the tables must be [maxPositions, {x.Shape[3] / 2}], half of the last dimension of {x.Shape}; they are {cos.Shape}");
        Check.OneDevice(Op, x, positions);
        Device device = Check.Floats(Op, x, cos, sin, y);
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        if (positions is null)
        {
            Check.Shapes((long)start + x.Shape[1] <= cos.Shape[0],
                $"{Op}: {x.Shape[1]} positions from {start} on do not lie within the {cos.Shape[0]} of cos {cos.Shape}: x {x.Shape}");
            return device;
        }
        if (start != 0) throw new ArgumentOutOfRangeException(nameof(start), start, $"{Op}: start must be 0 where positions are given.");
        Check.HasShape(Op, positions, [x.Shape[0], x.Shape[1]]);
        IndexCheck.Count(Op, positions, cos.Shape[0]);
        return device;
    }
}
