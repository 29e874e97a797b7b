using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Writes the tensors of a model folder as transformers does: one file, or several with an index where they are larger than a limit.</summary>
internal static partial class WeightWriter
{
    /// <summary>Ends the names of files that are whole, while others are not.</summary>
    private const string NewSuffix = ".new";

    /// <summary>
    /// Writes all tensors; those of one file are copied at a time. Every file is whole before the first takes its name, so that a run that ends
    /// before leaves the weights that were there. While several files take their names there is no index: a folder of old and new ones is not read
    /// as a model. Files of another layout are removed at the end.
    /// </summary>
    /// <param name="folder">An existing folder.</param>
    /// <param name="state">Names and tensors, in the model's order.</param>
    /// <param name="maxShardBytes">The most bytes of tensors in one file; see <see cref="Split"/>.</param>
    /// <param name="storeAs">The type of the tensors in the files: float32, bfloat16 or float16.</param>
    /// <exception cref="DeloraException">The system refused.</exception>
    internal static void Write(
        string folder, IReadOnlyList<(string Name, ModuleState State)> state, long maxShardBytes = PretrainedModel.DefaultMaxShardBytes,
        DType storeAs = DType.Float32)
    {
        List<List<(string Name, ModuleState State)>> shards = Split(state, maxShardBytes, storeAs);
        string[] old = [.. Directory.EnumerateFiles(folder).Where(file => IsOurs(Path.GetFileName(file)))];
        string[] unfinished = [.. Directory.EnumerateFiles(folder, ".model*.tmp"),
            .. Directory.EnumerateFiles(folder, $"*{NewSuffix}").Where(file => IsOurs(Path.GetFileNameWithoutExtension(file)))];
        foreach (string file in unfinished) FolderFile.TryDelete(file);
        List<string> written = [];
        string indexPath = Path.Combine(folder, WeightFiles.IndexName);
        byte[]? oldIndex = null;
        int named = 0;
        try
        {
            foreach ((int i, List<(string Name, ModuleState State)> shard) in shards.Index())
            {
                string name = shards.Count == 1 ? WeightFiles.SingleName : ShardName(i, shards.Count);
                written.Add(name);
                WriteShard(Unnamed(name), shard, storeAs);
            }
            if (shards.Count > 1)
            {
                written.Add(WeightFiles.IndexName);
                string index = Index(shards, storeAs);
                AtomicFile.Write(Unnamed(WeightFiles.IndexName), stream => stream.Write(Encoding.UTF8.GetBytes(index)));
            }
            if (shards.Count > 1 && File.Exists(indexPath))
            {
                oldIndex = File.ReadAllBytes(indexPath);
                File.Delete(indexPath);
            }
            for (; named < written.Count; named++) File.Move(Unnamed(written[named]), Path.Combine(folder, written[named]), overwrite: true);
        }
        catch
        {
            foreach (string name in written) FolderFile.TryDelete(Unnamed(name));
            if (named == 0 && oldIndex is not null) AtomicFile.Write(indexPath, stream => stream.Write(oldIndex));
            throw;
        }
        foreach (string file in old.Except(written.Select(name => Path.Combine(folder, name)))) File.Delete(file);

        string Unnamed(string name) => Path.Combine(folder, name + NewSuffix);
    }

    /// <summary>
    /// Which tensors go into which file: in their order, and a file is ended where the next tensor would make it larger than the limit. A tensor
    /// that is larger by itself has a file of its own, before the one that is being filled.
    /// </summary>
    /// <remarks>Source: huggingface_hub, <c>split_torch_state_dict_into_shards</c>, which <c>save_pretrained</c> calls.</remarks>
    internal static List<List<(string Name, ModuleState State)>> Split(
        IReadOnlyList<(string Name, ModuleState State)> state, long maxShardBytes, DType storeAs)
    {
        List<List<(string Name, ModuleState State)>> shards = [];
        List<(string Name, ModuleState State)> current = [];
        long size = 0;
        foreach ((string Name, ModuleState State) entry in state)
        {
            long bytes = Bytes(entry.State, storeAs);
            if (bytes > maxShardBytes)
            {
                shards.Add([entry]);
                continue;
            }
            if (size + bytes > maxShardBytes)
            {
                shards.Add(current);
                (current, size) = ([], 0);
            }
            current.Add(entry);
            size += bytes;
        }
        if (current.Count > 0 || shards.Count == 0) shards.Add(current);
        return shards;
    }

    private static void WriteShard(string path, IReadOnlyList<(string Name, ModuleState State)> shard, DType storeAs)
    {
        using var scope = new TensorScope("save model");
        IEnumerable<KeyValuePair<string, Tensor>> tensors = shard.Select(entry => KeyValuePair.Create(entry.Name, entry.State.Read()));
        SafetensorsFile.Write(path, StoredFloats.Of(tensors, storeAs), floatType: DType.Float32);
    }

    private static string Index(List<List<(string Name, ModuleState State)>> shards, DType storeAs)
    {
        var map = new SortedDictionary<string, object>(StringComparer.Ordinal);
        foreach ((int i, List<(string Name, ModuleState State)> shard) in shards.Index())
            foreach ((string name, _) in shard) map.Add(name, ShardName(i, shards.Count));
        long total = shards.SelectMany(shard => shard).Sum(entry => Bytes(entry.State, storeAs));
        return PythonJson.Write(new SortedDictionary<string, object?>(StringComparer.Ordinal)
        {
            ["metadata"] = (KeyValuePair<string, object>[])[new("total_size", total)],
            ["weight_map"] = map,
        }) + "\n";
    }

    private static long Bytes(ModuleState state, DType storeAs) => checked(state.Shape.ElementCount * storeAs.Size);

    /// <summary>Whether a file is one of those that this class writes, in any layout.</summary>
    private static bool IsOurs(string name) => name is WeightFiles.SingleName or WeightFiles.IndexName || ShardNames().IsMatch(name);

    [GeneratedRegex(@"\Amodel-\d{5}-of-\d{5}\.safetensors\z", RegexOptions.CultureInvariant)]
    private static partial Regex ShardNames();

    private static string ShardName(int index, int count) =>
        string.Create(CultureInfo.InvariantCulture, $"model-{index + 1:D5}-of-{count:D5}.safetensors");
}
