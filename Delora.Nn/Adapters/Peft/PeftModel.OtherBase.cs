using System.Globalization;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Whether an adapter was trained on the weights that it meets.</summary>
public sealed partial class PeftModel
{
    /// <summary>
    /// How far w may be from the norms of the weight, relative to these. Between a model and a version of it that was trained on, and after rounding to
    /// 16 bits, the distance is a small part of this.
    /// </summary>
    private const double FarthestNorms = 0.1;

    /// <summary>
    /// Warns where w, the norms of the weights that an adapter was trained on, is not that of the weights here: the adapter belongs to another model of the
    /// same shape. PEFT computes with it in silence.
    /// </summary>
    private void WarnOfOtherBase(AdapterPlan plan, string source, Action<string>? warn)
    {
        if (warn is null || Compatibility == PeftCompatibility.Strict) return;
        (string Layer, double Distance)[] far =
        [
            .. from entry in plan.Layers
               let adapter = entry.Layer.Adapters[plan.Name] as DeloraAdapter
               where adapter is not null
               let distance = Distance(adapter.ColumnNorms, entry.Layer)
               where distance > FarthestNorms
               select (entry.Target.Name, distance),
        ];
        if (far.Length == 0) return;
        (string layer, double most) = far.MaxBy(entry => entry.Distance);
        warn(string.Create(
            CultureInfo.InvariantCulture,
            $"{source}: was trained on another model: in {far.Length} of {plan.Layers.Count} layers w, the norms of its weights' columns, is not that of the "
            + $"weights here; in '{layer}' it differs by {100 * most:F0} %."));
    }

    /// <summary>‖w − ‖W‖_col‖ / ‖‖W‖_col‖.</summary>
    private static double Distance(Tensor w, IAdaptedLayer layer)
    {
        using Tensor norms = layer.Adapters.BaseColumnNorms();
        double[] given = w.ToArray<double>(), own = norms.ToArray<double>();
        double difference = Math.Sqrt(given.Zip(own).Sum(pair => (pair.First - pair.Second) * (pair.First - pair.Second)));
        return difference == 0 ? 0 : difference / Math.Sqrt(own.Sum(norm => norm * norm));
    }
}
