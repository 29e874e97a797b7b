using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// A part of a model: named parameters and named parts. Names are joined with dots, as HuggingFace and PEFT write them:
/// <c>model.layers.0.self_attn.q_proj.weight</c>.
/// </summary>
public abstract class Module : IDisposable
{
    private readonly List<(string Name, Module Module)> _children = [];

    /// <summary>Whether the module is being trained: dropout acts only then. Set by <see cref="Train"/>.</summary>
    public bool IsTraining { get; private set; }

    /// <summary>The parts, in the order of registration.</summary>
    public IEnumerable<(string Name, Module Module)> Children => _children;

    /// <summary>Switches this module and all its parts between training and evaluation.</summary>
    /// <returns>This module.</returns>
    public Module Train(bool training = true)
    {
        foreach ((_, Module module) in NamedModules()) module.IsTraining = training;
        return this;
    }

    /// <summary>This module (with the empty name) and all parts below it, outer before inner, with their full names.</summary>
    public IEnumerable<(string Name, Module Module)> NamedModules(string prefix = "")
    {
        yield return (prefix, this);
        foreach ((string name, Module child) in _children)
            foreach ((string, Module) inner in child.NamedModules(Join(prefix, name)))
                yield return inner;
    }

    /// <summary>All parameters with their full names, trainable or not. A frozen <see cref="Linear"/> has no weight parameter.</summary>
    public IEnumerable<(string Name, Parameter Parameter)> NamedParameters()
    {
        foreach ((string moduleName, Module module) in NamedModules())
            foreach ((string name, Parameter parameter) in module.OwnParameters())
                yield return (Join(moduleName, name), parameter);
    }

    /// <summary>All tensors that make up the model, with their full names: what a checkpoint of the base model holds.</summary>
    public IEnumerable<(string Name, ModuleState State)> NamedState()
    {
        foreach ((string moduleName, Module module) in NamedModules())
            foreach ((string name, ModuleState state) in module.OwnState())
                yield return (Join(moduleName, name), state);
    }

    /// <summary>Stops computing gradients for every parameter of the model and prepares the weights of linear layers for fast products.</summary>
    /// <returns>This module.</returns>
    public Module Freeze()
    {
        foreach ((_, Module module) in NamedModules()) module.FreezeOwn();
        return this;
    }

    /// <summary>As <see cref="Freeze()"/>, and chooses how linear layers keep their weights; see <see cref="FrozenWeightOptions"/>.</summary>
    /// <param name="options">How.</param>
    /// <returns>This module.</returns>
    /// <exception cref="InvalidOperationException">A layer is frozen in another storage already, or adapters are merged into it.</exception>
    /// <exception cref="NonFiniteException">A storage cannot keep a number.</exception>
    /// <exception cref="ArgumentException">A storage does not keep the directions that are asked for.</exception>
    public Module Freeze(FrozenWeightOptions options) => Freeze(options, _ => null);

    /// <param name="options">How.</param>
    /// <param name="stored">The type of a tensor in the file that the model comes from, by its name; null where there is none.</param>
    internal Module Freeze(FrozenWeightOptions options, Func<string, DType?> stored)
    {
        (string Name, Module Module)[] modules = [.. NamedModules()];
        Dictionary<Linear, string> tied = [];
        foreach ((string name, Module module) in modules)
            if (module is Embedding { Tied: { } layer }) tied.Add(layer, name);
        string? output = (this as IAdaptable)?.Targets.OutputModule;
        foreach ((string name, Module module) in modules)
        {
            if (module is Linear { KeepsParameters: false } layer)
            {
                bool isOutput = tied.ContainsKey(layer)
                    || (output is not null && (name == output || name.EndsWith($".{output}", StringComparison.Ordinal)));
                layer.Keep(options.StorageOf(isOutput).Of(stored(Join(tied.GetValueOrDefault(layer, name), "weight")) ?? DType.Float32), options.Directions);
            }
            module.FreezeOwn();
        }
        return this;
    }

    /// <summary>The module of that full name.</summary>
    /// <exception cref="ArgumentException">There is none.</exception>
    public Module GetModule(string name)
    {
        foreach ((string candidate, Module module) in NamedModules())
            if (candidate == name) return module;
        throw new ArgumentException($"There is no module '{name}'; there are: {string.Join(", ", NamedModules().Skip(1).Select(pair => pair.Name))}.", nameof(name));
    }

    /// <summary>Frees all parameters.</summary>
    public virtual void Dispose()
    {
        foreach ((_, Module module) in NamedModules().Reverse()) module.DisposeOwn();
        GC.SuppressFinalize(this);
    }

    /// <summary>The parameters of this module itself, without those of its parts.</summary>
    public virtual IEnumerable<(string Name, Parameter Parameter)> OwnParameters() => [];

    /// <summary>The tensors of this module itself, without those of its parts.</summary>
    public virtual IEnumerable<(string Name, ModuleState State)> OwnState() =>
        OwnParameters().Select(pair => (pair.Name, ModuleState.Of(pair.Parameter)));

    /// <summary>Exchanges a parameter of this module for another of the same shape, for instance for a trainable copy, and returns the old one.</summary>
    /// <exception cref="ArgumentException">The module has no parameter of that name that can be exchanged.</exception>
    public virtual Parameter ExchangeParameter(string name, Parameter replacement) =>
        throw new ArgumentException($"{GetType().Name} has no parameter '{name}' that can be exchanged.", nameof(name));

    /// <summary>Names a part. To be called in constructors.</summary>
    /// <returns>The part.</returns>
    protected T Register<T>(string name, T module) where T : Module
    {
        if (_children.Any(child => child.Name == name)) throw new ArgumentException($"{GetType().Name} has a part '{name}' already.", nameof(name));
        _children.Add((name, module));
        return module;
    }

    /// <summary>Stops computing gradients for this module's own parameters.</summary>
    protected virtual void FreezeOwn()
    {
        foreach ((_, Parameter parameter) in OwnParameters()) parameter.RequiresGradient = false;
    }

    /// <summary>Frees this module's own parameters.</summary>
    protected virtual void DisposeOwn()
    {
        foreach ((_, Parameter parameter) in OwnParameters()) parameter.Dispose();
    }

    /// <summary>Takes the replacement for a parameter after checking that it fits.</summary>
    protected static Parameter Exchange(ref Parameter current, Parameter replacement)
    {
        Check.HasShape(nameof(ExchangeParameter), replacement.Value, current.Shape);
        Parameter old = current;
        current = replacement;
        return old;
    }

    private static string Join(string prefix, string name) => prefix.Length == 0 ? name : $"{prefix}.{name}";
}

/// <summary>One tensor of a model's state, wherever the module keeps it (a parameter, or a prepared frozen weight).</summary>
/// <param name="Shape">Its shape.</param>
/// <param name="Read">Gives a copy that the caller disposes.</param>
/// <param name="Write">Overwrites it with a tensor of the same shape on the same device.</param>
public sealed record ModuleState(Shape Shape, Func<Tensor> Read, Action<Tensor> Write)
{
    /// <summary>The state of a parameter.</summary>
    public static ModuleState Of(Parameter parameter) =>
        new(parameter.Shape, () => Tensor.CopyOf(parameter.Value, parameter.Value.Device, parameter.Name),
            tensor => parameter.Value.CopyFrom(tensor));
}
