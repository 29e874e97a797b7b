using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// A frozen base model with named adapters, in PEFT's terms: add, activate one or several, disable for a while, merge and unmerge, save and load.
/// <code>
/// using var model = new PeftModel(network);
/// model.AddAdapter(new DeloraConfig { R = 8, TargetModules = ["lin0", "lin1"] }, new Generator(42));
/// // train model.TrainableParameters() …
/// model.Save("my-adapter");
/// </code>
/// </summary>
/// <remarks>
/// The adapters belong to this object; the base model stays the caller's and is frozen from the first adapter on. What changes adapters waits
/// for requests that a <see cref="PretrainedModel"/> computes at the moment; those that follow see the change.
/// </remarks>
public sealed partial class PeftModel : IDisposable
{
    /// <summary>The adapter name that PEFT uses where none is given.</summary>
    public const string DefaultAdapter = "default";

    private readonly Dictionary<string, AdapterConfig> _configs = [];
    private readonly Dictionary<string, SavedModule> _savedModules = [];
    private string[] _active = [];
    private int _disabled;

    /// <summary>Wraps a base model.</summary>
    public PeftModel(Module baseModel) => Base = baseModel;

    /// <summary>The base model.</summary>
    public Module Base { get; }

    /// <summary>The configuration of each adapter, by name.</summary>
    public IReadOnlyDictionary<string, AdapterConfig> Configs => _configs;

    /// <summary>Names of the active adapters, in order.</summary>
    public IReadOnlyList<string> ActiveAdapters => _active;

    /// <summary>Layers with adapters, linear ones and embeddings, by their full names.</summary>
    public IEnumerable<(string Name, IAdaptedLayer Layer)> AdaptedLayers => Base.NamedModules()
        .Where(pair => pair.Module is IAdaptedLayer layer && layer.Adapters.Names.Any()).Select(pair => (pair.Name, (IAdaptedLayer)pair.Module));

    /// <summary>
    /// Removes all adapters and restores the base model (merged adapters are unmerged, disabled layers enabled), except for biases that an
    /// adapter trained. The base model may have been disposed before.
    /// </summary>
    public void Dispose()
    {
        using IDisposable? alone = WaitUntilAlone();
        Unmerge();
        foreach (string name in _configs.Keys.ToArray()) Delete(name);
        if (_disabled == 0) return;
        _disabled = 0;
        SetEnabled(true);
    }

    private IDisposable? WaitUntilAlone() => (Base as PretrainedModel)?.WaitUntilAlone();

    /// <summary>Whether a module is one of those that are saved as a whole, or lies inside one.</summary>
    private static bool IsSaved(string moduleName, IEnumerable<string> saved) =>
        saved.Any(name => moduleName == name || moduleName.StartsWith($"{name}.", StringComparison.Ordinal));
    private sealed class Restore(Action action) : IDisposable
    {
        private Action? _action = action;

        public void Dispose() => Interlocked.Exchange(ref _action, null)?.Invoke();
    }
}
