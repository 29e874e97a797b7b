using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// The tensors that a model's constructor takes, by their full names. Gathered ones are there before the first module is made: where one cannot be made,
/// the scope that the caller has open frees the others. From files they are read one at a time, and a linear layer's weight is prepared before the
/// next is read, so that a model whose weights are kept in few bits is never there in float32; what has been made by then is freed where one fails.
/// </summary>
internal sealed class WeightSource
{
    private readonly IReadOnlyCollection<string> _names;
    private readonly Func<string, Tensor> _take;
    private readonly string _prefix;
    private readonly WeightFiles? _files;
    private readonly Func<string, DType?> _typeOf;
    private readonly List<IDisposable> _made;

    private WeightSource(
        IReadOnlyCollection<string> names, Func<string, Tensor> take, string prefix, WeightFiles? files, Func<string, DType?> typeOf,
        List<IDisposable> made) =>
        (_names, _take, _prefix, _files, _typeOf, _made) = (names, take, prefix, files, typeOf, made);

    /// <summary>Gathers tensors.</summary>
    /// <param name="shapes">Names and shapes.</param>
    /// <param name="make">Reads or makes one.</param>
    internal static WeightSource Gather(IReadOnlyDictionary<string, Shape> shapes, Func<string, Shape, Tensor> make)
    {
        var tensors = shapes.ToDictionary(pair => pair.Key, pair => make(pair.Key, pair.Value));
        return new(tensors.Keys, name => tensors[name], "", null, _ => null, []);
    }

    /// <summary>Makes a model of the tensors in files; it is frozen as they say (<see cref="WeightFiles.Frozen"/>).</summary>
    /// <param name="shapes">Names and shapes, which have been compared with the files.</param>
    /// <param name="files">The files.</param>
    /// <param name="device">Where.</param>
    /// <param name="make">The model's constructor.</param>
    /// <param name="nameInFile">The files' name of a tensor, where it is another one.</param>
    /// <param name="other">A tensor that is not taken from the files; null for those that are.</param>
    internal static TModel Load<TModel>(
        IReadOnlyDictionary<string, Shape> shapes, WeightFiles files, Device device, Func<WeightSource, TModel> make,
        Func<string, string>? nameInFile = null, Func<string, Tensor?>? other = null) where TModel : Module
    {
        nameInFile ??= name => name;
        DType? TypeOf(string name) => files.TypeOf(nameInFile(name));
        using var scope = new TensorScope("load model");
        List<IDisposable> made = [];
        TModel? model = null;
        try
        {
            model = make(new(
                [.. shapes.Keys], name => other?.Invoke(name) ?? files.ReadFloat(nameInFile(name), device), "", files, TypeOf, made));
            model.Freeze(files.Frozen, TypeOf);
            return model;
        }
        catch
        {
            model?.Dispose();
            foreach (IDisposable disposable in made) disposable.Dispose();
            throw;
        }
    }

    /// <summary>The tensors of a part.</summary>
    internal WeightSource Within(string part) => new(_names, _take, $"{_prefix}{part}.", _files, _typeOf, _made);

    /// <summary>A tensor; whoever takes it owns it.</summary>
    internal Tensor Take(string name) => Freed(_take(_prefix + name));

    /// <summary>A linear layer, with a bias where there is one.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="isOutput">Whether it gives the scores of the vocabulary; see <see cref="FrozenWeightOptions.OutputStorage"/>.</param>
    internal Linear Linear(string name, bool isOutput = false) =>
        Prepared(new Linear(Take($"{name}.weight"), Bias(name)), $"{name}.weight", isOutput);

    /// <summary>A linear layer whose weight is stored transposed, [in, out], with a bias where there is one.</summary>
    internal Linear Conv1D(string name) => Prepared(Nn.Linear.FromTransposed(Take($"{name}.weight"), Bias(name)), $"{name}.weight", isOutput: false);

    /// <summary>A layer norm, with a bias where there is one.</summary>
    internal LayerNorm LayerNorm(string name, double epsilon) => new(Take($"{name}.weight"), Bias(name), epsilon);

    /// <summary>A root mean square norm. Where it has an offset, it owns a tensor beside its weight.</summary>
    internal RmsNorm RmsNorm(string name, double epsilon, double offset) => Freed(new RmsNorm(Take($"{name}.weight"), epsilon, offset));

    /// <summary>The output layer over the table of an embedding, without a bias.</summary>
    /// <param name="table">The table's tensor.</param>
    internal Linear TiedOutput(string table) => Prepared(new Linear(Take(table)), table, isOutput: true);

    /// <summary>Something else that a constructor makes, so that it is freed where a later part fails.</summary>
    /// <returns>The same.</returns>
    internal T Freed<T>(T made) where T : IDisposable
    {
        if (_files is not null) _made.Add(made);
        return made;
    }

    private Tensor? Bias(string name) => _names.Contains($"{_prefix}{name}.bias") ? Take($"{name}.bias") : null;

    private Linear Prepared(Linear layer, string weight, bool isOutput)
    {
        Freed(layer);
        if (_files is null) return layer;
        layer.Keep(_files.Frozen.StorageOf(isOutput).Of(_typeOf(_prefix + weight) ?? DType.Float32), _files.Frozen.Directions);
        layer.Freeze();
        return layer;
    }
}
