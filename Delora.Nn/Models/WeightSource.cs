using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// The tensors that a model's constructor takes, by their full names. All are there before the first module is made: where one cannot be
/// read, the scope that the caller has open frees the others.
/// </summary>
internal sealed class WeightSource
{
    private readonly Dictionary<string, Tensor> _tensors;
    private readonly string _prefix;

    private WeightSource(Dictionary<string, Tensor> tensors, string prefix)
    {
        _tensors = tensors;
        _prefix = prefix;
    }

    /// <summary>Gathers tensors.</summary>
    /// <param name="shapes">Names and shapes.</param>
    /// <param name="make">Reads or makes one.</param>
    internal static WeightSource Gather(IReadOnlyDictionary<string, Shape> shapes, Func<string, Shape, Tensor> make) =>
        new(shapes.ToDictionary(pair => pair.Key, pair => make(pair.Key, pair.Value)), "");

    /// <summary>The tensors of a part.</summary>
    internal WeightSource Within(string part) => new(_tensors, $"{_prefix}{part}.");

    /// <summary>A tensor; whoever takes it owns it.</summary>
    internal Tensor Take(string name) => _tensors[_prefix + name];

    /// <summary>A linear layer, with a bias where there is one.</summary>
    internal Linear Linear(string name) => new(Take($"{name}.weight"), _tensors.GetValueOrDefault($"{_prefix}{name}.bias"));

    /// <summary>A layer norm, with a bias where there is one.</summary>
    internal LayerNorm LayerNorm(string name, double epsilon) =>
        new(Take($"{name}.weight"), _tensors.GetValueOrDefault($"{_prefix}{name}.bias"), epsilon);

    /// <summary>A linear layer whose weight is stored transposed, [in, out], with a bias where there is one.</summary>
    internal Linear Conv1D(string name) => Nn.Linear.FromTransposed(Take($"{name}.weight"), _tensors.GetValueOrDefault($"{_prefix}{name}.bias"));
}
