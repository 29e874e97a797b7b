using System.Runtime.CompilerServices;

namespace Delora.Nn;

/// <summary>One base model, one owner of its adapters.</summary>
public sealed partial class PeftModel
{
    private static readonly ConditionalWeakTable<Module, PeftModel> s_owners = [];

    private readonly HashSet<string> _takenOver = [];

    /// <summary>Takes the adapters of the model that has some on this base model, as PEFT does when a model is wrapped again.</summary>
    private void TakeOver()
    {
        if (!s_owners.TryGetValue(Base, out PeftModel? other) || other._configs.Count == 0) return;
        using IDisposable? alone = WaitUntilAlone();
        if (other._disabled > 0) throw new InvalidOperationException("The adapters of the base model are disabled for a while; wrap it afterwards.");
        Warn?.Invoke("The base model has adapters already, which this model takes over: unload them first to start anew.");
        Warn?.Invoke("There will be several adapters in this model.");
        foreach ((string name, AdapterConfig config) in other._configs) _configs.Add(name, config);
        foreach ((string name, SavedModule saved) in other._savedModules) _savedModules.Add(name, saved);
        _untrained.UnionWith(other._untrained);
        _takenOver.UnionWith(other._configs.Keys);
        _active = other._active;
        other._configs.Clear();
        other._savedModules.Clear();
        other._untrained.Clear();
        other._active = [];
        Own();
    }

    /// <summary>Refuses to put adapters beside those of another owner: activating, merging and training would each see the other's.</summary>
    private void RefuseOtherOwner()
    {
        if (s_owners.TryGetValue(Base, out PeftModel? other) && other != this && other._configs.Count > 0)
            throw new InvalidOperationException(
                $"The base model has adapters of another PeftModel ({string.Join(", ", other._configs.Keys)}): add to that one, or unload it first.");
    }

    private void Own() => s_owners.AddOrUpdate(Base, this);

    private void Disown()
    {
        if (s_owners.TryGetValue(Base, out PeftModel? owner) && owner == this) s_owners.Remove(Base);
    }
}
