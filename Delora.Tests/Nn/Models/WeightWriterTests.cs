using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn.Models;

/// <summary>Models in several files are cut and named as transformers does, and a save that fails leaves what was there.</summary>
public sealed class WeightWriterTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Folder => _folder.Path;

    public void Dispose() => _folder.Dispose();

    /// <summary>By hand from huggingface_hub's rule: what is larger than the limit goes alone, before the file that is being filled.</summary>
    [Theory]
    [InlineData(400, "abcdef")]
    [InlineData(120, "ab|cd|ef")]
    [InlineData(99, "a|b|d|cef")]
    [InlineData(60, "b|d|ac|ef")]
    [InlineData(40, "b|a|d|ce|f")]
    [InlineData(1, "a|b|c|d|e|f")]
    public void FilesAreFilledInOrder(long limit, string expected)
    {
        (string, int)[] sizes = [("a", 40), ("b", 80), ("c", 20), ("d", 100), ("e", 20), ("f", 40)];
        List<List<(string Name, ModuleState State)>> shards = WeightWriter.Split([.. sizes.Select(size => (size.Item1, State(size.Item2 / 4)))], limit, DType.Float32);
        Assert.Equal(expected, string.Join('|', shards.Select(shard => string.Concat(shard.Select(entry => entry.Name)))));

        static ModuleState State(int count) => new([count], () => throw new InvalidOperationException(), _ => { });
    }

    [Fact]
    public void EveryLayoutReplacesTheOneBefore()
    {
        using DecoderForCausalLM model = TinyDecoders.Create(TinyDecoders.Qwen2);
        _folder.Write("model-notes.safetensors", "not ours");
        foreach (long limit in (long[])[PretrainedModel.DefaultMaxShardBytes, 8000, 3000, PretrainedModel.DefaultMaxShardBytes, 3000, 3000])
        {
            model.Save(Folder, maxShardBytes: limit);
            string[] files = [.. Directory.GetFiles(Folder).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal)];
            string[] weights = [.. files.Except(["config.json", "model-notes.safetensors", "model.safetensors.index.json"])];
            if (limit == PretrainedModel.DefaultMaxShardBytes) Assert.Equal(["model.safetensors"], weights);
            else Assert.Equal([.. Enumerable.Range(1, weights.Length).Select(i => $"model-{i:D5}-of-{weights.Length:D5}.safetensors")], weights);
            Assert.Equal(limit < 9000, File.Exists(_folder.File(WeightFiles.IndexName)));
            using CausalLanguageModel loaded = CausalLanguageModel.Load(Folder, Devices.Cpu, strict: true);
            Assert.Equal(model.Fingerprint(), loaded.Fingerprint());
        }
        string index = File.ReadAllText(_folder.File(WeightFiles.IndexName));
        long total = model.NamedState().Sum(entry => entry.State.Shape.ElementCount * 4);
        Assert.StartsWith($"{{\n  \"metadata\": {{\n    \"total_size\": {total}\n  }},\n  \"weight_map\": {{\n    \"model.embed_tokens.weight\": \"model-", index);
        Assert.EndsWith("\"\n  }\n}\n", index);
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Save(Folder, maxShardBytes: 0));
    }

    [Fact]
    public void ASaveThatFailsLeavesTheWeightsThatWereThere()
    {
        using DecoderForCausalLM model = TinyDecoders.Create(TinyDecoders.Qwen2), large = TinyDecoders.Create(TinyDecoders.Qwen2, freeze: false);
        model.Save(Folder, maxShardBytes: 3000);
        // Left by a run that was killed.
        _folder.Write(".model-00001-of-00002.safetensors.abc.tmp", "");
        _folder.Write("model-00001-of-00002.safetensors.new", "");
        // The last tensor of all is too large for float16, after the first files are done.
        (string name, ModuleState state) = large.NamedState().Last();
        using (Tensor values = Tensor.From(Enumerable.Repeat(1e9f, (int)state.Shape.ElementCount).ToArray(), state.Shape, Devices.Cpu)) state.Write(values);
        Dictionary<string, byte[]> before = Directory.GetFiles(Folder, "model-*-of-*.safetensors").ToDictionary(file => file, File.ReadAllBytes);
        var error = Assert.Throws<NonFiniteException>(() => large.Save(Folder, DType.Float16, maxShardBytes: 3000));
        Assert.Contains(name, error.Message, StringComparison.Ordinal);
        Assert.All(before, file => Assert.Equal(file.Value, File.ReadAllBytes(file.Key)));
        using CausalLanguageModel loaded = CausalLanguageModel.Load(Folder, Devices.Cpu, strict: true);
        Assert.Equal(model.Fingerprint(), loaded.Fingerprint());
        AssertNothingUnfinished();
    }

    /// <summary>A file that cannot be replaced: what is then in the folder is all of the old, or no model.</summary>
    [Theory, InlineData(1, true), InlineData(2, false)]
    public void OldAndNewFilesAreNeverReadTogether(int blocked, bool indexStays)
    {
        using DecoderForCausalLM model = TinyDecoders.Create(TinyDecoders.Qwen2);
        model.Save(Folder, maxShardBytes: 3000);
        string file = Directory.GetFiles(Folder, $"model-{blocked:D5}-of-*.safetensors").Single();
        File.Delete(file);
        Directory.CreateDirectory(file);
        byte[] index = File.ReadAllBytes(_folder.File(WeightFiles.IndexName));
        Assert.Throws<DeloraException>(() => model.Save(Folder, maxShardBytes: 3000));
        Assert.Equal(indexStays, File.Exists(_folder.File(WeightFiles.IndexName)));
        if (indexStays) Assert.Equal(index, File.ReadAllBytes(_folder.File(WeightFiles.IndexName)));
        Assert.Throws<DeloraFormatException>(() => CausalLanguageModel.Load(Folder, Devices.Cpu));
        AssertNothingUnfinished();
        Directory.Delete(file);
        model.Save(Folder, maxShardBytes: 3000);
        using CausalLanguageModel loaded = CausalLanguageModel.Load(Folder, Devices.Cpu, strict: true);
        Assert.Equal(model.Fingerprint(), loaded.Fingerprint());
    }

    private void AssertNothingUnfinished() => Assert.DoesNotContain(
        Directory.GetFiles(Folder), file => file.EndsWith(".tmp", StringComparison.Ordinal) || file.EndsWith(".new", StringComparison.Ordinal));
}
