using System.Globalization;
using System.Text.RegularExpressions;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Writes the tensors of a model folder as transformers does: one file, or several with an index where they are larger than a limit.</summary>
internal static partial class WeightWriter
{
    /// <summary>transformers' limit for one file.</summary>
    internal const long MaxShardBytes = 5_000_000_000;

    /// <summary>Writes all tensors; those of one file are copied at a time. Files of another layout are removed at the end.</summary>
    /// <param name="folder">An existing folder.</param>
    /// <param name="state">Names and tensors, in the model's order.</param>
    /// <param name="maxShardBytes">A file is begun where the next tensor would make it larger.</param>
    /// <param name="storeAs">The type of the tensors in the files: float32, bfloat16 or float16.</param>
    /// <exception cref="DeloraException">The system refused.</exception>
    internal static void Write(
        string folder, IReadOnlyList<(string Name, ModuleState State)> state, long maxShardBytes = MaxShardBytes, DType storeAs = DType.Float32)
    {
        List<List<(string Name, ModuleState State)>> shards = [[]];
        long size = 0;
        foreach ((string Name, ModuleState State) entry in state)
        {
            long bytes = Bytes(entry.State, storeAs);
            if (size > 0 && size + bytes > maxShardBytes)
            {
                shards.Add([]);
                size = 0;
            }
            shards[^1].Add(entry);
            size += bytes;
        }
        // Of another layout; names that only this layout has.
        string[] old = [.. Directory.EnumerateFiles(folder).Where(file => ShardNames().IsMatch(Path.GetFileName(file))),
            Path.Combine(folder, WeightFiles.SingleName), Path.Combine(folder, WeightFiles.IndexName)];
        foreach (string unfinished in Directory.EnumerateFiles(folder, ".model*.tmp")) FolderFile.TryDelete(unfinished);
        string[] written = shards.Count == 1
            ? [WriteShard(folder, WeightFiles.SingleName, shards[0], storeAs)]
            : [.. shards.Select((shard, i) => WriteShard(folder, ShardName(i, shards.Count), shard, storeAs))];
        if (shards.Count > 1) written = [.. written, WriteIndex(folder, shards, storeAs)];
        foreach (string file in old.Except(written)) File.Delete(file);
    }

    private static string WriteShard(string folder, string name, IReadOnlyList<(string Name, ModuleState State)> shard, DType storeAs)
    {
        string path = Path.Combine(folder, name);
        using var scope = new TensorScope("save model");
        IEnumerable<KeyValuePair<string, Tensor>> tensors = shard.Select(entry => KeyValuePair.Create(entry.Name, entry.State.Read()));
        SafetensorsFile.Write(path, StoredFloats.Of(tensors, storeAs), floatType: DType.Float32);
        return path;
    }

    private static string WriteIndex(string folder, List<List<(string Name, ModuleState State)>> shards, DType storeAs)
    {
        var map = new SortedDictionary<string, object>(StringComparer.Ordinal);
        foreach ((int i, List<(string Name, ModuleState State)> shard) in shards.Index())
            foreach ((string name, _) in shard) map.Add(name, ShardName(i, shards.Count));
        long total = shards.SelectMany(shard => shard).Sum(entry => Bytes(entry.State, storeAs));
        string json = PythonJson.Write(new SortedDictionary<string, object?>(StringComparer.Ordinal)
        {
            ["metadata"] = (KeyValuePair<string, object>[])[new("total_size", total)],
            ["weight_map"] = map,
        });
        string path = Path.Combine(folder, WeightFiles.IndexName);
        AtomicFile.Write(path, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(json)));
        return path;
    }

    private static long Bytes(ModuleState state, DType storeAs) => checked(state.Shape.ElementCount * storeAs.Size);

    [GeneratedRegex(@"\Amodel-\d{5}-of-\d{5}\.safetensors\z", RegexOptions.CultureInvariant)]
    private static partial Regex ShardNames();

    private static string ShardName(int index, int count) =>
        string.Create(CultureInfo.InvariantCulture, $"model-{index + 1:D5}-of-{count:D5}.safetensors");
}
