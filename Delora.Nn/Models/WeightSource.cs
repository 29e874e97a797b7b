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
    private readonly List<IDisposable> _made;

    private WeightSource(IReadOnlyCollection<string> names, Func<string, Tensor> take, string prefix, WeightFiles? files, List<IDisposable> made) =>
        (_names, _take, _prefix, _files, _made) = (names, take, prefix, files, made);

    /// <summary>Gathers tensors.</summary>
    /// <param name="shapes">Names and shapes.</param>
    /// <param name="make">Reads or makes one.</param>
    internal static WeightSource Gather(IReadOnlyDictionary<string, Shape> shapes, Func<string, Shape, Tensor> make)
    {
        var tensors = shapes.ToDictionary(pair => pair.Key, pair => make(pair.Key, pair.Value));
        return new(tensors.Keys, name => tensors[name], "", null, []);
    }

    /// <summary>Makes a model of the tensors in files; it is frozen as they say (<see cref="WeightFiles.Frozen"/>).</summary>
    /// <param name="shapes">Names and shapes, which have been compared with the files.</param>
    /// <param name="files">The files.</param>
    /// <param name="device">Where.</param>
    /// <param name="make">The model's constructor.</param>
    internal static TModel Load<TModel>(IReadOnlyDictionary<string, Shape> shapes, WeightFiles files, Device device, Func<WeightSource, TModel> make)
        where TModel : Module
    {
        using var scope = new TensorScope("load model");
        List<IDisposable> made = [];
        TModel? model = null;
        try
        {
            model = make(new([.. shapes.Keys], name => files.ReadFloat(name, device), "", files, made));
            model.Freeze(files.Frozen, files.TypeOf);
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
    internal WeightSource Within(string part) => new(_names, _take, $"{_prefix}{part}.", _files, _made);

    /// <summary>A tensor; whoever takes it owns it.</summary>
    internal Tensor Take(string name) => Freed(_take(_prefix + name));

    /// <summary>A linear layer, with a bias where there is one.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="isOutput">Whether it gives the scores of the vocabulary; see <see cref="FrozenWeightOptions.OutputStorage"/>.</param>
    internal Linear Linear(string name, bool isOutput = false) =>
        Layer($"{name}.weight", _names.Contains($"{_prefix}{name}.bias") ? Take($"{name}.bias") : null, isOutput);

    /// <summary>The output layer over the table of an embedding, without a bias.</summary>
    /// <param name="table">The table's tensor.</param>
    internal Linear TiedOutput(string table) => Layer(table, null, isOutput: true);

    /// <summary>Something else that a constructor makes, so that it is freed where a later part fails.</summary>
    /// <returns>The same.</returns>
    internal T Freed<T>(T made) where T : IDisposable
    {
        if (_files is not null) _made.Add(made);
        return made;
    }

    private Linear Layer(string weight, Tensor? bias, bool isOutput)
    {
        Linear layer = Freed(new Linear(Take(weight), bias));
        if (_files is null) return layer;
        layer.Keep(_files.Frozen.StorageOf(isOutput).Of(_files.TypeOf(_prefix + weight) ?? DType.Float32), _files.Frozen.Directions);
        layer.Freeze();
        return layer;
    }
}
