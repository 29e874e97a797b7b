using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// A module that an adapter trains and saves whole (PEFT's <c>modules_to_save</c>): its base parameters, and for each adapter a trainable copy that
/// takes their place while the adapter is active.
/// </summary>
internal sealed class SavedModule : IDisposable
{
    private const string WeightName = "weight";

    private readonly List<Part> _parts = [];
    private readonly Dictionary<string, Parameter[]> _copies = [];
    private bool _modelIsGone;

    internal SavedModule(string name, Module module)
    {
        Name = name;
        foreach ((string path, Module owner) in module.NamedModules())
        {
            IAdaptedLayer? shared = Sharing(owner);
            if (owner is Linear linear)
            {
                // A prepared frozen weight cannot be trained: the part keeps an ordinary parameter from now on. A shared one stays the partner's.
                if (shared is null) linear.Unfreeze();
                linear.KeepsParameters = true;
            }
            if (shared is not null) _parts.Add(new Part(owner, WeightName, Join(path, WeightName), null));
            foreach ((string own, Parameter parameter) in owner.OwnParameters())
            {
                if (shared is not null && own == WeightName) continue;
                parameter.RequiresGradient = false;
                _parts.Add(new Part(owner, own, Join(path, own), parameter));
            }
        }
        if (_parts.Count == 0) throw new ArgumentException($"modules_to_save: the module '{name}' has no parameters.", nameof(name));
    }

    /// <summary>Whether a weight of the module is another module's as well (tied embeddings): a copy parts the two.</summary>
    internal static bool SharesWeights(Module module) => module.NamedModules().Any(part => Sharing(part.Module) is not null);

    /// <summary>Names, relative to the module, and shapes of what a copy of it holds.</summary>
    internal static IEnumerable<(string Name, Shape Shape)> ShapesOf(Module module)
    {
        foreach ((string path, Module owner) in module.NamedModules())
        {
            IAdaptedLayer? shared = Sharing(owner);
            if (shared is not null) yield return (Join(path, WeightName), shared.WeightState.Shape);
            foreach ((string own, ModuleState state) in owner.OwnState())
                if (shared is null || own != WeightName) yield return (Join(path, own), state.Shape);
        }
    }

    /// <summary>Full name of the module in the base model.</summary>
    internal string Name { get; }

    /// <summary>Whether any adapter has a copy.</summary>
    internal bool IsUsed => _copies.Count > 0;

    /// <summary>The adapters that have a copy.</summary>
    internal IEnumerable<string> Adapters => _copies.Keys;

    internal bool Has(string adapter) => _copies.ContainsKey(adapter);

    /// <summary>Makes an adapter's copy of the base parameters.</summary>
    internal void AddCopy(string adapter) =>
        _copies.Add(adapter, [.. _parts.Select(part => new Parameter(part.OwnName, part.CopyBase()))]);

    /// <summary>An adapter's copies by their names relative to the module.</summary>
    internal IEnumerable<(string Name, Parameter Parameter)> Copies(string adapter) =>
        _parts.Select((part, i) => (part.Name, _copies[adapter][i]));

    /// <summary>Puts an adapter's copy in place, or the base parameters for null.</summary>
    internal void Activate(string? adapter)
    {
        Parameter[]? copy = adapter is null ? null : _copies[adapter];
        for (int i = 0; i < _parts.Count; i++) _parts[i].Put(copy?[i]);
    }

    /// <summary>Gives an adapter's copy another name; nothing where it has none.</summary>
    internal void Rename(string from, string to)
    {
        if (_copies.Remove(from, out Parameter[]? copy)) _copies.Add(to, copy);
    }

    /// <summary>Writes an adapter's copy into the base parameters, for good. Tied embeddings are parted.</summary>
    internal void Keep(string adapter)
    {
        for (int i = 0; i < _parts.Count; i++) _parts[i].Keep(_copies[adapter][i]);
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
        _modelIsGone |= _parts.Any(part => part.Base?.Value.IsDisposed == true);
        foreach (Part part in _parts)
        {
            if (_modelIsGone)
            {
                // It freed the copies that stood in their place.
                part.Base?.Dispose();
                continue;
            }
            if (part.Owner is not Linear linear) continue;
            linear.KeepsParameters = false;
            linear.Freeze();
        }
    }

    private static IAdaptedLayer? Sharing(Module module) => module is IAdaptedLayer { Partner: not null } layer ? layer : null;

    private static string Join(string path, string own) => path.Length == 0 ? own : $"{path}.{own}";

    /// <summary>A parameter of the module.</summary>
    /// <param name="Owner">Whose it is.</param>
    /// <param name="OwnName">How its owner calls it.</param>
    /// <param name="Name">Its name relative to the module.</param>
    /// <param name="Base">The base model's; null for a weight that the owner shares with another layer.</param>
    private sealed record Part(Module Owner, string OwnName, string Name, Parameter? Base)
    {
        private IAdaptedLayer Layer => (IAdaptedLayer)Owner;

        internal Tensor CopyBase() => Base is null ? Layer.CopyOwn(OwnName) : Tensor.CopyOf(Base.Value, Base.Value.Device);

        /// <summary>Puts a copy in place, or the base model's for null.</summary>
        internal void Put(Parameter? copy)
        {
            if (Base is null) Layer.Apart = copy;
            else Owner.ExchangeParameter(OwnName, copy ?? Base);
        }

        internal void Keep(Parameter copy)
        {
            if (Base is null) Layer.Part(copy.Value);
            else Base.Value.CopyFrom(copy.Value);
        }
    }
}
