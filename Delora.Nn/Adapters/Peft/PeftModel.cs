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
/// The adapters belong to this object; the base model stays the caller's and is frozen from the first adapter on. Any thread may call any member:
/// what changes adapters waits for requests that a <see cref="PretrainedModel"/> computes at the moment, and those that follow see the change; lists and
/// reports are of one moment. A base model of another kind computes without asking, so that its caller must not change adapters meanwhile. An adapter
/// that is being trained should serve no requests; others may (<see cref="Rows"/>).
/// </remarks>
public sealed partial class PeftModel : IDisposable
{
    /// <summary>The adapter name that PEFT uses where none is given.</summary>
    public const string DefaultAdapter = "default";

    private readonly Dictionary<string, AdapterConfig> _configs = [];
    private readonly Dictionary<string, SavedModule> _savedModules = [];
    private readonly HashSet<string> _untrained = [];
    private string[] _active = [];
    private int _disabled;

    /// <summary>Wraps a base model.</summary>
    /// <param name="baseModel">It stays the caller's.</param>
    /// <param name="compatibility">
    /// Whether PEFT's refusals and acceptances are kept to. Strict takes over the adapters of a <see cref="PeftModel"/> that has some on this base
    /// model already, which has none afterwards.
    /// </param>
    /// <param name="warn">Becomes <see cref="Warn"/>.</param>
    /// <exception cref="InvalidOperationException">The adapters to take over are disabled (<see cref="Disable"/>).</exception>
    public PeftModel(Module baseModel, PeftCompatibility compatibility = PeftCompatibility.Extended, Action<string>? warn = null)
    {
        ArgumentNullException.ThrowIfNull(baseModel);
        (Base, Compatibility, Warn) = (baseModel, compatibility, warn);
        if (compatibility == PeftCompatibility.Strict) TakeOver();
    }

    /// <summary>The base model.</summary>
    public Module Base { get; }

    /// <summary>How closely this model follows PEFT.</summary>
    public PeftCompatibility Compatibility { get; }

    /// <summary>
    /// Hears of what is odd but no error, where a call is not given a listener of its own; null for nobody. It is called while the model is kept from others:
    /// it must not wait for a thread that may be asking this model.
    /// </summary>
    public Action<string>? Warn { get; set; }

    /// <summary>
    /// Removes all adapters and restores the base model (merged adapters are unmerged, disabled layers enabled), except for biases that an
    /// adapter trained and base weights that an adapter's file brought along. The base model may have been disposed before.
    /// </summary>
    public void Dispose()
    {
        using IDisposable? alone = WaitUntilAlone();
        // Without adapters of its own those that are merged are another's.
        if (_configs.Count > 0) UnmergeAll();
        RemoveAll();
    }

    /// <summary>Removes all adapters, whether they are active or not, and enables the layers.</summary>
    private void RemoveAll()
    {
        foreach (string name in _configs.Keys.ToArray()) Remove(name);
        Disown();
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
