using System.Numerics;
using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Where the tokens of a forward pass stand.</summary>
/// <param name="Ids">Positions, int32 [batch, seq]; null: counted up to <paramref name="End"/>.</param>
/// <param name="End">One more than the largest position.</param>
internal readonly record struct RotaryPositions(Tensor? Ids, int End);

/// <summary>
/// cos and sin of the rotary position embedding: factor · cos(p · f_i) and factor · sin(p · f_i), i below dim/2. Shared by all layers and
/// requests; the tables grow with the longest sequence that was asked for.
/// </summary>
/// <remarks>
/// Su et al., RoFormer, arXiv 2104.09864; half-split pairs as in transformers' <c>LlamaRotaryEmbedding</c>, whose frequencies and angles are
/// rounded to float32. They are rounded here as well: the models were trained with them.
/// </remarks>
/// <param name="positions">The most positions: 0 … positions − 1.</param>
/// <param name="frequencies">f, [dim / 2]: radians from one position to the next; see <see cref="RopeScaling.Frequencies"/>.</param>
/// <param name="factor">What both are multiplied by: 1, but for <see cref="RopeScaling.CosineFactor"/>.</param>
/// <param name="device">Where.</param>
public sealed class RotaryTable(int positions, float[] frequencies, float factor, Device device) : IDisposable
{
    private const int FirstSize = 512;

    private readonly Lock _lock = new();
    // Requests may still read the smaller ones: all are freed at the end.
    private readonly List<Angles> _tables = [];
    private volatile Angles? _current;

    /// <summary>Turns the pairs of every head by the angles of its position.</summary>
    /// <param name="x">[batch, seq, heads, dim]</param>
    /// <param name="ids">Positions, int32 [batch, seq]; null: the last seq before <paramref name="end"/>.</param>
    /// <param name="end">One more than the largest position: the table is made for so many.</param>
    /// <returns>[batch, seq, heads, dim]</returns>
    /// <exception cref="IndexException">A given position is negative, or not below <paramref name="end"/> and the number of positions.</exception>
    /// <exception cref="ShapeException">No positions are given, and the sequence goes beyond their number.</exception>
    public Tensor Apply(Tensor x, Tensor? ids, int end)
    {
        Angles angles = Sized(Math.Min(end, positions));
        return x.RotaryEmbedding(angles.Cos, angles.Sin, ids, ids is null ? end - x.Shape[1] : 0);
    }

    /// <summary>Frees the tables.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            foreach (Angles table in _tables)
            {
                table.Cos.Dispose();
                table.Sin.Dispose();
            }
            _tables.Clear();
            _current = null;
        }
    }

    private Angles Sized(int end)
    {
        if (_current is { } table && table.Rows >= end) return table;
        lock (_lock)
        {
            if (_current is { } grown && grown.Rows >= end) return grown;
            int rows = Math.Min(positions, Math.Max(FirstSize, (int)BitOperations.RoundUpToPowerOf2((uint)end)));
            _tables.Add(_current = Make(rows));
            return _current;
        }
    }

    private Angles Make(int rows)
    {
        int half = frequencies.Length;
        Shape shape = [rows, half];
        var cos = new float[shape.ElementCount];
        var sin = new float[shape.ElementCount];
        for (int i = 0; i < half; i++)
        {
            for (int p = 0; p < rows; p++)
            {
                (double s, double c) = Math.SinCos(p * frequencies[i]);
                cos[p * half + i] = factor * (float)c;
                sin[p * half + i] = factor * (float)s;
            }
        }
        // Frees the first where there is no memory for the second.
        using var scope = new TensorScope("rotary table");
        Tensor cosines = Tensor.From(cos, shape, device, "rotary cos"), sines = Tensor.From(sin, shape, device, "rotary sin");
        return new Angles(rows, cosines.Own(), sines.Own());
    }

    /// <summary>cos and sin, [rows, dim / 2].</summary>
    private sealed record Angles(int Rows, Tensor Cos, Tensor Sin);
}
