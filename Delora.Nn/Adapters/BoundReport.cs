using System.Globalization;
using System.Text;

namespace Delora.Nn;

/// <summary>How far one adapter moves one layer, and how far it could. All norms are Frobenius norms.</summary>
/// <param name="Layer">The layer's full name.</param>
/// <param name="Adapter">The adapter's name.</param>
/// <param name="Rank">Rank of ΔW as it is computed.</param>
/// <param name="Norm">‖ΔW‖, exact.</param>
/// <param name="Bound">|λ| · max w, which ‖ΔW‖ cannot exceed; null where the method sets no bound (LoRA).</param>
/// <param name="DirectionNorm">‖ΔW diag(1/w)‖ = ‖B diag(s) A‖: the update in units of the base weight's columns. Null for LoRA.</param>
/// <param name="DirectionBound">|λ|, the paper's bound of it. Twice as large, as <paramref name="Bound"/> is, with the residual initialization.</param>
/// <param name="Lambda">λ; null for LoRA.</param>
/// <remarks>Source: Bini, Girrbach, Akata, ICLR 2025: λ sets the strength apart from the direction.</remarks>
public sealed record LayerBound(
    string Layer, string Adapter, int Rank, double Norm, double? Bound, double? DirectionNorm, double? DirectionBound, double? Lambda)
{
    /// <summary>‖ΔW‖ / bound, from 0 to 1; null where there is no bound, or where it is 0.</summary>
    public double? Utilization => Bound is > 0 ? Norm / Bound : null;

    /// <summary>‖ΔW diag(1/w)‖ / its bound, from 0 to 1; null where there is none, or where it is 0.</summary>
    public double? DirectionUtilization => DirectionBound is > 0 ? DirectionNorm / DirectionBound : null;

    /// <summary>Measures an adapter.</summary>
    internal static LayerBound Of(string layer, string name, LinearAdapter adapter)
    {
        (double Norm, double Bound)? direction = adapter.DirectionNorm();
        return new LayerBound(layer, name, adapter.Rank, adapter.DeltaNorm(), adapter.NormBound(), direction?.Norm, direction?.Bound,
            (adapter as DeloraAdapter)?.Lambda.Value.ToScalar());
    }
}

/// <summary>
/// The updates of all layers beside their bounds, at one moment. Every norm comes from Gram matrices [r, r]; no matrix of a weight's size is
/// made, so that it can be asked for at every step of a training run.
/// </summary>
/// <param name="Layers">One entry for each layer and adapter, in the model's order.</param>
public sealed record BoundReport(IReadOnlyList<LayerBound> Layers)
{
    /// <summary>The layer that has come nearest to its bound; where there are no bounds, the one that is moved farthest. Null where there is none.</summary>
    public LayerBound? Nearest => Layers.MaxBy(layer => layer.Utilization ?? (layer.Bound is null ? layer.Norm : 0));

    /// <summary>A line for each layer, with tabs between: layer, adapter, rank, ‖ΔW‖, bound, share of it, ‖ΔW/w‖, share of λ, λ.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        foreach (LayerBound layer in Layers)
            text.AppendJoin('\t', layer.Layer, layer.Adapter, Number($"{layer.Rank}"), Number($"{layer.Norm:G5}"), Number($"{layer.Bound:G5}"),
                Number($"{layer.Utilization:P1}"), Number($"{layer.DirectionNorm:G5}"), Number($"{layer.DirectionUtilization:P1}"),
                Number($"{layer.Lambda:G5}"))
                .Append('\n');
        return text.ToString();

        static string Number(FormattableString value) => value.ToString(CultureInfo.InvariantCulture);
    }
}
