using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// A module that an adapter trains and saves whole (PEFT's <c>modules_to_save</c>): its base parameters, and for each adapter a trainable copy that
/// takes their place while the adapter is active.
/// </summary>
internal sealed class SavedModule : IDisposable
{
    private readonly List<(Module Owner, string OwnName, string Name, Parameter Base)> _base = [];
    private readonly Dictionary<string, Parameter[]> _copies = [];
    private bool _modelIsGone;

    internal SavedModule(string name, Module module)
    {
        Name = name;
        foreach ((string path, Module part) in module.NamedModules())
        {
            // A prepared frozen weight cannot be trained: the part keeps an ordinary parameter from now on.
            if (part is Linear linear)
            {
                linear.Unfreeze();
                linear.KeepsParameters = true;
            }
            foreach ((string own, Parameter parameter) in part.OwnParameters())
            {
                parameter.RequiresGradient = false;
                _base.Add((part, own, path.Length == 0 ? own : $"{path}.{own}", parameter));
            }
        }
        if (_base.Count == 0) throw new ArgumentException($"modules_to_save: the module '{name}' has no parameters.", nameof(name));
    }

    /// <summary>Whether a weight of the module is another module's as well: a copy would part the two.</summary>
    internal static bool SharesWeights(Module module) =>
        module.NamedModules().Any(part => part.Module is Linear { IsTied: true } or Embedding { IsTied: true });

    /// <summary>Full name of the module in the base model.</summary>
    internal string Name { get; }

    /// <summary>Whether any adapter has a copy.</summary>
    internal bool IsUsed => _copies.Count > 0;

    /// <summary>The adapters that have a copy.</summary>
    internal IEnumerable<string> Adapters => _copies.Keys;

    internal bool Has(string adapter) => _copies.ContainsKey(adapter);

    /// <summary>Makes an adapter's copy of the base parameters.</summary>
    internal void AddCopy(string adapter) =>
        _copies.Add(adapter, [.. _base.Select(entry => new Parameter(entry.OwnName, Tensor.CopyOf(entry.Base.Value, entry.Base.Value.Device)))]);

    /// <summary>An adapter's copies by their names relative to the module.</summary>
    internal IEnumerable<(string Name, Parameter Parameter)> Copies(string adapter) =>
        _base.Select((entry, i) => (entry.Name, _copies[adapter][i]));

    /// <summary>Puts an adapter's copy in place, or the base parameters for null.</summary>
    internal void Activate(string? adapter)
    {
        Parameter[]? copy = adapter is null ? null : _copies[adapter];
        for (int i = 0; i < _base.Count; i++) _base[i].Owner.ExchangeParameter(_base[i].OwnName, copy?[i] ?? _base[i].Base);
    }

    /// <summary>Gives an adapter's copy another name; nothing where it has none.</summary>
    internal void Rename(string from, string to)
    {
        if (_copies.Remove(from, out Parameter[]? copy)) _copies.Add(to, copy);
    }

    /// <summary>Writes an adapter's copy into the base parameters, for good.</summary>
    internal void Keep(string adapter)
    {
        for (int i = 0; i < _base.Count; i++) _base[i].Base.Value.CopyFrom(_copies[adapter][i].Value);
    }

    internal void Delete(string adapter)
    {
        if (!_copies.Remove(adapter, out Parameter[]? copy)) return;
        // Nobody disposes a copy but the model that it stands in.
        _modelIsGone |= copy.Any(parameter => parameter.Value.IsDisposed);
        foreach (Parameter parameter in copy) parameter.Dispose();
    }

    /// <summary>Frees the copies; the module is frozen with its base parameters again.</summary>
    public void Dispose()
    {
        Activate(null);
        foreach (string adapter in _copies.Keys.ToArray()) Delete(adapter);
        _modelIsGone |= _base.Any(entry => entry.Base.Value.IsDisposed);
        foreach ((Module owner, _, _, Parameter parameter) in _base)
        {
            if (_modelIsGone)
            {
                // It freed the copies that stood in their place.
                parameter.Dispose();
                continue;
            }
            if (owner is not Linear linear) continue;
            linear.KeepsParameters = false;
            linear.Freeze();
        }
    }
}
