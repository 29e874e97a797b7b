using System.Text.Json;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// The tensors of a model folder: <c>model.safetensors</c>, or the files that <c>model.safetensors.index.json</c> names. Opening reads and
/// checks all headers and no tensor.
/// </summary>
/// <remarks>Layout: transformers, <c>save_pretrained</c>. An index is a file from a stranger: it may name files of the folder only.</remarks>
public sealed class WeightFiles : IDisposable
{
    /// <summary>The file of a model that fits into one.</summary>
    public const string SingleName = "model.safetensors";

    /// <summary>The file that says which tensor is in which of several files.</summary>
    public const string IndexName = "model.safetensors.index.json";

    private static readonly string[] s_pickled = ["pytorch_model.bin", "pytorch_model.bin.index.json", "model.bin", "consolidated.00.pth"];

    private readonly List<SafetensorsFile> _files = [];
    private Dictionary<string, (SafetensorsFile File, string Name)> _of = [];

    private WeightFiles(string source) => Source = source;

    /// <summary>The file or index, as error messages say it.</summary>
    public string Source { get; }

    /// <summary>How the model that is read keeps its linear layers.</summary>
    public FrozenWeightOptions Frozen { get; init; } = FrozenWeightOptions.Default;

    /// <summary>Every tensor.</summary>
    public IEnumerable<SafetensorsEntry> Entries => _of.Select(pair => pair.Value.File[pair.Value.Name] with { Name = pair.Key });

    /// <summary>Whether there is a tensor of that name.</summary>
    public bool Contains(string name) => _of.ContainsKey(name);

    /// <summary>The tensor of that name.</summary>
    /// <exception cref="DeloraFormatException">There is none.</exception>
    public SafetensorsEntry this[string name]
    {
        get
        {
            (SafetensorsFile file, string stored) = Find(name);
            return file[stored] with { Name = name };
        }
    }

    /// <summary>The type of a tensor in its file; null where there is none, or its type cannot be read.</summary>
    internal DType? TypeOf(string name) => _of.TryGetValue(name, out (SafetensorsFile File, string Name) place) ? place.File[place.Name].DType : null;

    /// <summary>Opens the weights of a model folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="options">What to do about NaN and infinity: a warning where nothing is given.</param>
    /// <param name="frozen">How the model keeps its linear layers: float32 where nothing is given.</param>
    /// <exception cref="DeloraFormatException">
    /// There are none, only pickled ones, an index is wrong, or a file is damaged; says which and why.
    /// </exception>
    public static WeightFiles Open(string folder, SafetensorsOptions? options = null, FrozenWeightOptions? frozen = null)
    {
        frozen ??= FrozenWeightOptions.Default;
        string single = Path.Combine(folder, SingleName), index = Path.Combine(folder, IndexName);
        if (Path.Exists(single)) return Open(single, [(null, single)], options, frozen);
        if (Path.Exists(index)) return OpenIndex(folder, index, options, frozen);
        if (s_pickled.FirstOrDefault(name => Path.Exists(Path.Combine(folder, name))) is { } pickled)
            throw new DeloraFormatException(
                folder, pickled, "is a pickle file, which can run code when it is read: convert the model to safetensors.");
        throw new DeloraFormatException(folder, null, $"holds neither {SingleName} nor {IndexName}.");
    }

    /// <summary>Reads a tensor as the device's floating-point type; see <see cref="SafetensorsFile.ReadFloat"/>.</summary>
    /// <exception cref="DeloraFormatException">There is none, or it cannot be read.</exception>
    public Tensor ReadFloat(string name, Device device)
    {
        (SafetensorsFile file, string stored) = Find(name);
        return file.ReadFloat(stored, device);
    }

    /// <summary>Calls the tensors by other names from now on: models are published under the names of several versions.</summary>
    /// <param name="canonical">Gives the name that the model's own list has.</param>
    /// <exception cref="DeloraFormatException">Two tensors would have one name.</exception>
    internal void Rename(Func<string, string> canonical)
    {
        Dictionary<string, (SafetensorsFile File, string Name)> renamed = [];
        foreach ((string name, (SafetensorsFile File, string Name) stored) in _of)
            if (!renamed.TryAdd(canonical(name), stored))
                throw new DeloraFormatException(Source, name, $"is the same tensor as {renamed[canonical(name)].Name}, under another name.");
        _of = renamed;
    }

    /// <summary>Compares what there is with what a model needs, before memory is spent.</summary>
    /// <param name="needed">Names and shapes.</param>
    /// <param name="ignored">Tensors that may be there although nothing needs them.</param>
    /// <exception cref="DeloraFormatException">Tensors are missing, not expected, or of another shape; lists them.</exception>
    public void Check(IReadOnlyDictionary<string, Shape> needed, Predicate<string>? ignored = null)
    {
        string[] missing = [.. needed.Keys.Where(name => !Contains(name))];
        string[] extra = [.. _of.Keys.Where(name => !needed.ContainsKey(name) && ignored?.Invoke(name) is not true)];
        string[] wrong = [.. needed.Where(pair => Contains(pair.Key) && this[pair.Key].Shape != pair.Value)
            .Select(pair => $"{pair.Key} has the shape {this[pair.Key].Shape} instead of {pair.Value}")];
        if (missing.Length + extra.Length + wrong.Length > 0)
            throw new DeloraFormatException(Source, null, $"does not fit the configuration: {Names.Differences(missing, extra, wrong)}.");
    }

    /// <summary>Closes the files. Tensors that were read stay.</summary>
    public void Dispose()
    {
        foreach (SafetensorsFile file in _files) file.Dispose();
    }

    private (SafetensorsFile File, string Name) Find(string name) =>
        _of.TryGetValue(name, out (SafetensorsFile File, string Name) stored)
            ? stored
            : throw new DeloraFormatException(Source, name, $"is not among the {_of.Count} tensors.");

    private static WeightFiles OpenIndex(string folder, string index, SafetensorsOptions? options, FrozenWeightOptions frozen)
    {
        JsonFields fields = JsonFields.Load(index);
        if (!fields.TryTake("weight_map", out JsonElement map) || map.ValueKind != JsonValueKind.Object)
            throw fields.Wrong("weight_map", "is missing, or no object of tensor and file names.");
        List<(string? Tensor, string File)> parts = [];
        foreach (JsonProperty entry in map.EnumerateObject())
        {
            string field = $"weight_map[\"{entry.Name}\"]";
            if (entry.Value.ValueKind != JsonValueKind.String)
                throw fields.Wrong(field, $"must be the name of a file, not {JsonFields.Describe(entry.Value)}.");
            parts.Add((entry.Name, FolderFile.Resolve(folder, entry.Value.GetString()!, index, field)));
        }
        if (parts.Count == 0) throw fields.Wrong("weight_map", "names no tensor.");
        string[] absent = [.. parts.Select(part => part.File).Distinct().Where(file => !File.Exists(file)).Select(file => Path.GetFileName(file))];
        if (absent.Length > 0) throw fields.Wrong("weight_map", $"names files that are not there: {Names.List(absent)}.");
        return Open(index, parts, options, frozen);
    }

    /// <summary>Opens files; a part without a tensor's name stands for all tensors of its file.</summary>
    private static WeightFiles Open(
        string source, IReadOnlyList<(string? Tensor, string File)> parts, SafetensorsOptions? options, FrozenWeightOptions frozen)
    {
        var weights = new WeightFiles(source) { Frozen = frozen };
        try
        {
            Dictionary<string, SafetensorsFile> opened = [];
            foreach ((string? tensor, string path) in parts)
            {
                if (!opened.TryGetValue(path, out SafetensorsFile? file))
                {
                    opened.Add(path, file = SafetensorsFile.Open(path, options));
                    weights._files.Add(file);
                }
                if (tensor is not null && !file.Contains(tensor))
                    throw new DeloraFormatException(source, $"weight_map[\"{tensor}\"]", $"{Path.GetFileName(path)} holds no such tensor.");
                foreach (string name in tensor is null ? file.Entries.Select(entry => entry.Name) : [tensor]) weights._of.Add(name, (file, name));
            }
        }
        catch
        {
            weights.Dispose();
            throw;
        }
        return weights;
    }
}
