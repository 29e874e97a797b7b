using System.Text;
using System.Text.Json.Nodes;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn.Models;

/// <summary>Model folders: what is written is read again, and what is wrong is refused by name.</summary>
public sealed class ModelFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Folder => _folder.Path;

    public void Dispose() => _folder.Dispose();

    [Theory, InlineData(false), InlineData(true)]
    public void AModelComesBackBitByBit(bool tied)
    {
        using LlamaForCausalLM model = TinyLlama.Create(TinyLlama.Config with { TieWordEmbeddings = tied, AttentionBias = tied });
        model.Save(Folder);
        using CausalLanguageModel loaded = CausalLanguageModel.Load(Folder, Devices.Cpu, strict: true);
        Assert.Equal(model.Config with { Source = "", AdditionalFields = loaded.Config.AdditionalFields }, (LlamaConfig)loaded.Config with { Source = "" }, SameJson);
        using var scope = new TensorScope("test");
        Assert.Equal(model.NamedState().Select(entry => entry.Name), loaded.NamedState().Select(entry => entry.Name));
        foreach (((string name, ModuleState saved), (_, ModuleState read)) in model.NamedState().Zip(loaded.NamedState()))
            Assert.True(saved.Read().ToArray<float>().AsSpan().SequenceEqual(read.Read().ToArray<float>()), name);
        Assert.Equal(tied, !Files().Contains("lm_head.weight"));
        Assert.All(loaded.NamedParameters(), entry => Assert.False(entry.Parameter.RequiresGradient));
    }

    [Fact]
    public void LargeModelsAreWrittenInSeveralFiles()
    {
        using LlamaForCausalLM model = TinyLlama.Create();
        model.Save(Folder);
        WeightWriter.Write(Folder, [.. model.NamedState()], maxShardBytes: 8000);
        string[] files = [.. Directory.GetFiles(Folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
        Assert.Equal(["config.json", .. Enumerable.Range(1, 6).Select(i => $"model-0000{i}-of-00006.safetensors"), "model.safetensors.index.json"], files);
        Assert.All(files[1..^1], file => Assert.True(new FileInfo(Path.Combine(Folder, file)).Length < 10_000));
        JsonNode index = JsonNode.Parse(File.ReadAllText(Path.Combine(Folder, WeightFiles.IndexName)))!;
        Assert.Equal(model.Config.ParameterCount * 4, (long)index["metadata"]!["total_size"]!);
        Assert.Equal(model.NamedState().Count(), index["weight_map"]!.AsObject().Count);
        using var scope = new TensorScope("test");
        using (CausalLanguageModel loaded = CausalLanguageModel.Load(Folder, Devices.Cpu))
        {
            Tensor ids = TinyLlama.Ids([1, 4], Devices.Cpu);
            Assert.Equal(model.Forward(ids).ToArray<float>(), loaded.Forward(ids).ToArray<float>());
        }
        model.Save(Folder);
        Assert.Equal(["config.json", "model.safetensors"], Directory.GetFiles(Folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal));
    }

    [Theory, InlineData(DType.BFloat16), InlineData(DType.Float16)]
    public void HalfPrecisionWeightsAreWidened(DType dtype)
    {
        using LlamaForCausalLM model = TinyLlama.Create();
        model.Save(Folder);
        using var scope = new TensorScope("test");
        var half = new List<KeyValuePair<string, Tensor>>();
        foreach ((string name, ModuleState state) in model.NamedState())
        {
            Tensor tensor = state.Read(), small = Tensor.Empty(tensor.Shape, dtype, Devices.Cpu);
            CastKernel.Forward(tensor, small);
            half.Add(new(name, small));
        }
        SafetensorsFile.Write(Path.Combine(Folder, WeightFiles.SingleName), half);
        using CausalLanguageModel loaded = CausalLanguageModel.Load(Folder, Devices.Cpu);
        foreach (((string name, ModuleState read), (_, Tensor stored)) in loaded.NamedState().Zip(half))
        {
            Tensor wide = Tensor.Empty(stored.Shape, DType.Float32, Devices.Cpu);
            CastKernel.Forward(stored, wide);
            Assert.True(wide.ToArray<float>().AsSpan().SequenceEqual(read.Read().ToArray<float>()), name);
        }
    }

    [Theory]
    [InlineData("num_attention_heads", "5", "not divisible by num_attention_heads 5")]
    [InlineData("num_key_value_heads", "3", "not divisible by num_key_value_heads 3")]
    [InlineData("num_hidden_layers", "1000000000", "num_hidden_layers: must be from 1 to")]
    [InlineData("num_hidden_layers", "\"2\"", "must be a whole number")]
    [InlineData("hidden_size", "0", "hidden_size")]
    [InlineData("hidden_size", "null", "hidden_size: is missing")]
    [InlineData("head_dim", "7", "is odd")]
    [InlineData("vocab_size", "-3", "vocab_size")]
    [InlineData("hidden_act", "\"gelu\"", "'gelu' is not supported; silu is")]
    [InlineData("rope_scaling", "{\"rope_type\": \"dynamic\", \"factor\": 4.0}", "the scaling 'dynamic' is not supported")]
    [InlineData("rope_theta", "1e999", "rope_theta")]
    [InlineData("quantization_config", "{\"bits\": 4}", "quantised weights are not supported")]
    [InlineData("eos_token_id", "[2, 99]", "eos_token_id: must be from 0 to 36")]
    [InlineData("model_type", "\"mamba\"", "'mamba' is not supported; supported are")]
    [InlineData("model_type", "null", "model_type: is missing")]
    public void AWrongFieldIsNamed(string field, string value, string expected)
    {
        SaveTiny();
        Edit(config =>
        {
            if (field != "head_dim") config.Remove("head_dim");
            config[field] = JsonNode.Parse(value);
        });
        string message = Refused();
        Assert.Contains("config.json", message);
        Assert.Contains(expected, message);
    }

    [Fact]
    public void ConfigurationsOfOlderAndNewerVersionsAreRead()
    {
        SaveTiny();
        Edit(config =>
        {
            config.Remove("rope_theta");
            config.Remove("head_dim");
            config["rope_parameters"] = JsonNode.Parse("{\"rope_type\": \"default\", \"rope_theta\": 500.0}");
            config["eos_token_id"] = JsonNode.Parse("[2, 3]");
            config["my_field"] = 5;
        });
        string path = Path.Combine(Folder, ModelConfig.FileName);
        File.WriteAllBytes(path, [0xEF, 0xBB, 0xBF, .. File.ReadAllBytes(path)]);
        var config = (LlamaConfig)ModelConfig.Load(Folder);
        Assert.Equal((500.0, 6), (config.RopeTheta, config.HeadSize));
        Assert.Equal([2, 3], config.EosTokenIds);
        JsonNode written = JsonNode.Parse(config.ToJson())!;
        Assert.Equal((5, 500.0, 2), ((int)written["my_field"]!, (double)written["rope_parameters"]!["rope_theta"]!, written["eos_token_id"]!.AsArray().Count));
    }

    [Fact]
    public void WeightsThatAreNotThereOrPickledAreNamed()
    {
        Assert.Contains("there is no such folder", Refused(Path.Combine(Folder, "nowhere")));
        Assert.Contains("config.json: there is no such file", Refused());
        SaveTiny();
        string weights = Path.Combine(Folder, WeightFiles.SingleName);
        File.Move(weights, Path.Combine(Folder, "pytorch_model.bin"));
        Assert.Contains("convert the model to safetensors", Refused());
        File.Delete(Path.Combine(Folder, "pytorch_model.bin"));
        Assert.Contains("holds neither model.safetensors nor", Refused());
        File.WriteAllText(weights, "version https://git-lfs.github.com/spec/v1\n");
        Assert.Contains("Git LFS", Refused());
    }

    [Fact]
    public void TensorsThatDoNotFitAreListed()
    {
        SaveTiny();
        Edit(config =>
        {
            config["intermediate_size"] = 41;
            config["num_hidden_layers"] = 3;
        });
        string message = Refused();
        Assert.Contains("missing model.layers.2.self_attn.q_proj.weight", message);
        Assert.Contains("model.layers.0.mlp.gate_proj.weight has the shape [40, 24] instead of [41, 24]", message);
        Edit(config =>
        {
            config["intermediate_size"] = 40;
            config["num_hidden_layers"] = 1;
        });
        Assert.Contains("not expected model.layers.1.", Refused());
    }

    [Theory]
    [InlineData("../../etc/passwd")]
    [InlineData("/etc/passwd")]
    [InlineData("..\\..\\x")]
    [InlineData("a\u0000b")]
    [InlineData("..")]
    [InlineData("")]
    public void AnIndexThatLeadsOutOfTheFolderIsRefused(string name)
    {
        SaveIndex(name);
        Assert.Contains("is not the plain name of a file", Refused());
    }

    [Fact]
    public void AnIndexOfMissingFilesLinksAndStrangeThingsIsRefused()
    {
        SaveIndex("part.safetensors");
        Assert.Contains("names files that are not there: part.safetensors", Refused());
        if (OperatingSystem.IsWindows()) return;
        using var elsewhere = new TemporaryFolder();
        string target = Path.Combine(elsewhere.Path, "weights.safetensors");
        File.WriteAllText(target, "x");
        File.CreateSymbolicLink(Path.Combine(Folder, "part.safetensors"), target);
        Assert.Contains("leads out of the folder", Refused());
        File.Delete(Path.Combine(Folder, "part.safetensors"));
        File.CreateSymbolicLink(Path.Combine(Folder, "part.safetensors"), "/dev/zero");
        Assert.Contains("leads out of the folder", Refused());
        File.WriteAllText(Path.Combine(Folder, WeightFiles.IndexName), "{\"weight_map\": {\"a\": 3}}");
        Assert.Contains("weight_map[\"a\"]: must be the name of a file, not 3", Refused());
    }

    [Fact]
    public void FilesThatTheCacheOfDownloadsLinksToAreRead()
    {
        if (OperatingSystem.IsWindows()) return;
        string snapshot = _folder.File("snapshots/0123"), blobs = _folder.File("blobs");
        using (LlamaForCausalLM model = TinyLlama.Create())
        {
            model.Save(snapshot);
            WeightWriter.Write(snapshot, [.. model.NamedState()], maxShardBytes: 8000);
        }
        Directory.CreateDirectory(blobs);
        foreach (string file in Directory.GetFiles(snapshot, "*.safetensors"))
        {
            string blob = Path.Combine(blobs, $"blob-{Path.GetFileName(file)[6..11]}");
            File.Move(file, blob);
            File.CreateSymbolicLink(file, Path.Combine("..", "..", "blobs", Path.GetFileName(blob)));
        }
        using CausalLanguageModel loaded = CausalLanguageModel.Load(snapshot, Devices.Cpu);
        Assert.Equal(TinyLlama.Config.VocabSize, loaded.Config.VocabSize);
    }

    private static bool SameJson(LlamaConfig one, LlamaConfig two) => one.ToJson() == two.ToJson();

    private void SaveTiny()
    {
        using LlamaForCausalLM model = TinyLlama.Create();
        model.Save(Folder);
    }

    private void SaveIndex(string file)
    {
        SaveTiny();
        File.Delete(Path.Combine(Folder, WeightFiles.SingleName));
        File.WriteAllText(Path.Combine(Folder, WeightFiles.IndexName), new JsonObject
        {
            ["weight_map"] = new JsonObject { ["model.norm.weight"] = file },
        }.ToJsonString(), Encoding.UTF8);
    }

    private void Edit(Action<JsonObject> change)
    {
        string path = Path.Combine(Folder, ModelConfig.FileName);
        JsonObject config = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        change(config);
        File.WriteAllText(path, config.ToJsonString());
    }

    private string Refused(string? folder = null) =>
        Assert.Throws<DeloraFormatException>(() => CausalLanguageModel.Load(folder ?? Folder, Devices.Cpu)).Message;

    private WeightFiles Files()
    {
        using WeightFiles files = WeightFiles.Open(Folder);
        return files;
    }
}
