namespace Delora.Nn;

/// <summary>Batches whose rows have adapters of their own.</summary>
public sealed partial class PeftModel
{
    /// <summary>What stands for the base model among the adapters of a batch's rows, as in PEFT.</summary>
    public const string BaseRow = "__base__";

    /// <summary>
    /// A choice of the adapter that each row of a batch is computed with, whichever adapters are active; see <see cref="AdapterRows"/>. It may be
    /// used any number of times, by several threads. Strictly the names of a model without LoRA adapters are not even looked at, and all rows are computed
    /// with the active adapters: PEFT has such batches for LoRA, and its DeLoRA passes the names over.
    /// </summary>
    /// <param name="names">An adapter of this model for each row, or <see cref="BaseRow"/>.</param>
    /// <exception cref="ArgumentException">There is no row, or no adapter of a name.</exception>
    /// <exception cref="ObjectDisposedException">The base model was disposed.</exception>
    /// <exception cref="NotSupportedException">
    /// An adapter has trained biases or whole modules, which take the place of the base model's for all rows.
    /// </exception>
    public AdapterRows Rows(params IReadOnlyList<string> names)
    {
        ArgumentNullException.ThrowIfNull(names);
        // Beside the requests that compute, and not while adapters come or go.
        if (Base is not PretrainedModel model) return Choose(names);
        using (model.Enter()) return Choose(names);
    }

    private AdapterRows Choose(IReadOnlyList<string> names)
    {
        bool isPassedOver = Compatibility == PeftCompatibility.Strict && !_configs.Values.Any(config => config is LoraConfig);
        if (isPassedOver) return new AdapterRows(names, [], () => { });
        if (names.Count == 0) throw new ArgumentException("A batch has at least one row.", nameof(names));
        foreach (string name in names.Distinct().Where(name => name != BaseRow))
        {
            if (!_configs.TryGetValue(name, out AdapterConfig? config))
                throw new ArgumentException(
                    $"There is no adapter '{name}'; there are: {string.Join(", ", _configs.Keys)}, and {BaseRow} for none.", nameof(names));
            if (config.Bias != AdapterBias.None || _savedModules.Values.Any(saved => saved.Has(name)))
                throw new NotSupportedException(
                    $"'{name}' has trained biases or whole modules (bias, modules_to_save), which take the place of the "
                    + "base model's for all rows: activate it instead.");
        }
        IEnumerable<LinearAdapters> layers = Base.NamedModules().Select(pair => pair.Module).OfType<IAdaptedLayer>().Select(layer => layer.Adapters);
        return new AdapterRows(names, layers, CheckForRows);
    }

    /// <summary>Rows share the modules of the model, so that these must be the base model's own; and PEFT computes rows in evaluation mode alone.</summary>
    private void CheckForRows()
    {
        if (Compatibility == PeftCompatibility.Strict && Base.IsTraining)
            throw new InvalidOperationException("Rows with adapters of their own are not computed in training mode strictly, as in PEFT.");
        foreach (SavedModule saved in _savedModules.Values)
            if (ActiveOf(saved) is { } adapter)
                throw new InvalidOperationException(
                    $"'{saved.Name}' is that of the active adapter '{adapter}' (modules_to_save), for all rows: activate others, or none, "
                    + "before computing rows.");
    }
}
