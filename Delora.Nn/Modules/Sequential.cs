using Delora.Core;

namespace Delora.Nn;

/// <summary>Modules one after the other, named <c>0</c>, <c>1</c>, … as PyTorch names them.</summary>
public sealed class Sequential : Module, ITensorModule
{
    private readonly ITensorModule[] _modules;

    /// <summary>Strings the modules together. Each is a <see cref="Module"/> as well.</summary>
    /// <exception cref="ArgumentException">One is not.</exception>
    public Sequential(params ITensorModule[] modules)
    {
        _modules = modules;
        for (int i = 0; i < modules.Length; i++)
            Register(i.ToString(System.Globalization.CultureInfo.InvariantCulture),
                modules[i] as Module ?? throw new ArgumentException($"{modules[i].GetType().Name} is not a Module.", nameof(modules)));
    }

    /// <inheritdoc/>
    public Tensor Forward(Tensor x) => _modules.Aggregate(x, (value, module) => module.Forward(value));
}
