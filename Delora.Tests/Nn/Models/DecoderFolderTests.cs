using System.Text.Json;
using System.Text.Json.Nodes;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn.Models;

/// <summary>Model folders of the decoder families: written, read, and refused by name.</summary>
public sealed class DecoderFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Families => TinyDecoders.Names;

    private string Folder => _folder.Path;

    public void Dispose() => _folder.Dispose();

    [Theory, MemberData(nameof(Families))]
    public void AModelComesBackInOneFileAndInSeveral(string name)
    {
        using DecoderForCausalLM model = TinyDecoders.Create(TinyDecoders.All[name]);
        using var scope = new TensorScope("test");
        Tensor ids = TinyLlama.Ids([2, 7], Devices.Cpu);
        float[] expected = model.Forward(ids).ToArray<float>();
        foreach (long bytes in (long[])[PretrainedModel.DefaultMaxShardBytes, 8000])
        {
            model.Save(Folder);
            WeightWriter.Write(Folder, [.. model.NamedState()], bytes);
            Assert.Equal(bytes == 8000, File.Exists(Path.Combine(Folder, WeightFiles.IndexName)));
            using CausalLanguageModel loaded = CausalLanguageModel.Load(Folder, Devices.Cpu, strict: true);
            Assert.Equal((model.GetType(), model.Config.GetType()), (loaded.GetType(), loaded.Config.GetType()));
            Assert.Equal(model.Config.ToJson(), loaded.Config.ToJson());
            Assert.Equal(model.Fingerprint(), loaded.Fingerprint());
            Assert.Equal(expected, loaded.Forward(ids).ToArray<float>());
        }
    }

    /// <summary>As published: with fields that are absent, older or newer, and some that nobody knows.</summary>
    [Theory]
    [InlineData("mistral", """{"sliding_window": null, "rope_theta": 10000.0, "head_dim": 6, "torch_dtype": "bfloat16", "bos_token_id": null}""")]
    [InlineData("mistral", """{"sliding_window": 7, "my_field": {"a": [1, null]}, "layer_types": ["full_attention", "full_attention"]}""")]
    [InlineData("qwen2", """{"use_sliding_window": false, "sliding_window": 131072, "max_window_layers": 21, "bos_token_id": null}""")]
    [InlineData("qwen2", """{"layer_types": ["full_attention", "sliding_attention"], "use_sliding_window": true, "sliding_window": 9}""")]
    [InlineData("qwen2", """{"rope_scaling": {"factor": 4.0, "original_max_position_embeddings": 16, "type": "yarn"}}""")]
    [InlineData("qwen3", """{"head_dim": 128, "attention_bias": false, "rope_scaling": null, "dtype": "float32", "eos_token_id": [3, 4]}""")]
    [InlineData("qwen3", """{"rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"}, "dtype": "bfloat16"}""")]
    [InlineData("llama",
        """{"rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8,"""
        + """ "rope_type": "llama3"}}""")]
    [InlineData("gemma", """{"hidden_act": "gelu", "hidden_activation": null, "head_dim": 256, "tie_word_embeddings": false}""")]
    [InlineData("gemma", """{"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu", "attention_bias": true}""")]
    [InlineData("llama", """{"original_max_position_embeddings": 16, "partial_rotary_factor": 1.0, "rope_theta": 500.0}""")]
    [InlineData("llama", """{"rope_parameters": {"rope_type": "linear", "factor": 2.5, "rope_theta": 500000.0, "someday": 3}}""")]
    [InlineData("llama",
        """{"rope_scaling": {"type": "yarn", "rope_type": "yarn", "factor": 4, "mscale": 1.0, "mscale_all_dim": 0.5,"""
        + """ "truncate": false, "beta_fast": 16, "beta_slow": 2, "attention_factor": 1.1}}""")]
    public void WhatAFileSaysIsWrittenAgain(string family, string more)
    {
        JsonObject file = Written(family, more);
        ModelConfig config = ModelConfig.Load(Folder);
        JsonObject again = JsonNode.Parse(config.ToJson())!.AsObject();
        foreach ((string field, JsonNode? value) in file)
        {
            if (field is "torch_dtype" or "dtype") Assert.Equal("float32", (string?)again[field]);
            else if (field != "rope_scaling" || value?["rope_type"] is not null || value is null)
                Assert.True(JsonNode.DeepEquals(value, again[field]), $"{field}: {again[field]?.ToJsonString()} instead of {value?.ToJsonString()}");
            else Assert.Equal(((string?)value["type"], (string?)value["type"]), ((string?)again[field]!["type"], (string?)again[field]!["rope_type"]));
        }
        Assert.Equal(file.ContainsKey("rope_parameters"), !again.ContainsKey("rope_theta"));
        Assert.Equal(file.ContainsKey("dtype"), !again.ContainsKey("torch_dtype"));
        // Where null is the default it stays what the file makes of it: said or not.
        if (family is "qwen2" or "qwen3") Assert.Equal(file.ContainsKey("bos_token_id"), again.ContainsKey("bos_token_id"));
    }

    [Fact]
    public void AbsentFieldsHaveTheDefaultsOfTransformers()
    {
        foreach ((string family, int? window, int positions, int head) in ((string, int?, int, int)[])
            [("mistral", 4096, 131072, 2), ("qwen2", null, 32768, 2), ("qwen3", null, 32768, 128), ("llama", null, 2048, 2), ("gemma", null, 8192, 256)])
        {
            Written(family, """{"hidden_size": 64, "num_attention_heads": 32}""", bare: true);
            var config = (DecoderConfig)ModelConfig.Load(Folder);
            Assert.Equal((window, positions, head, 10000, 1e-6),
                (config.WindowOf(0), config.MaxPositionEmbeddings, config.HeadSize, config.RopeTheta, config.RmsNormEps));
            Assert.Equal(family switch { "mistral" => 8, "gemma" => 16, _ => 32 }, config.KeyValueHeads);
            Assert.Equal(family.StartsWith("qwen", StringComparison.Ordinal) ? "[null,[]]" : family == "gemma" ? "[2,[1]]" : "[1,[2]]",
                JsonSerializer.Serialize((object?[])[config.BosTokenId, config.EosTokenIds]));
        }
    }

    [Fact]
    public void TheLengthOfTheTrainingBesideTheScalingIsPreferred()
    {
        Written("llama", """{"original_max_position_embeddings": 16, "rope_scaling": {"type": "yarn", "factor": 2, "original_max_position_embeddings": 8}}""");
        Assert.Equal(16, ((DecoderConfig)ModelConfig.Load(Folder)).RopeScaling!.OriginalMaxPositionEmbeddings);
    }

    [Fact]
    public void WindowsAreOnTheLayersThatTransformersPutsThemOn()
    {
        Assert.Equal([null, null, 5], Windows("""{"use_sliding_window": true, "sliding_window": 5, "max_window_layers": 2}"""));
        Assert.Equal([5, 5, 5], Windows("""{"use_sliding_window": true, "sliding_window": 5, "max_window_layers": 0}"""));
        Assert.Equal([null, null, null], Windows("""{"use_sliding_window": true, "sliding_window": 5}"""));
        Assert.Equal([null, null, null], Windows("""{"use_sliding_window": false, "sliding_window": 5, "max_window_layers": 0}"""));
        Assert.Equal([null, null, null], Windows("""{"use_sliding_window": true, "sliding_window": null, "max_window_layers": 0}"""));
        Assert.Equal([5, null, 5], Windows(
            """{"use_sliding_window": true, "sliding_window": 5, "max_window_layers": 2,"""
            + """ "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}"""));

        int?[] Windows(string more)
        {
            Written("qwen2", more);
            JsonObject file = JsonNode.Parse(File.ReadAllText(_folder.File(ModelConfig.FileName)))!.AsObject();
            file["num_hidden_layers"] = 3;
            _folder.Write(ModelConfig.FileName, file.ToJsonString());
            var config = (DecoderConfig)ModelConfig.Load(Folder);
            return [.. Enumerable.Range(0, 3).Select(config.WindowOf)];
        }
    }

    [Theory]
    [InlineData("mistral", """{"sliding_window": 0}""", "sliding_window: must be from 1 to")]
    [InlineData("mistral", """{"sliding_window": "4"}""", "sliding_window: must be a whole number")]
    [InlineData("mistral",
        """{"architectures": ["MistralModel"]}""", "architectures: 'MistralModel' is not supported for the model_type 'mistral'; MistralForCausalLM is")]
    [InlineData("qwen2", """{"use_sliding_window": true, "sliding_window": -1}""", "sliding_window: must be from 1 to")]
    [InlineData("qwen2", """{"layer_types": ["full_attention"]}""", "layer_types: names 1 layers; num_hidden_layers is 2")]
    [InlineData("qwen2",
        """{"layer_types": ["full_attention", "chunked_attention"]}""", "'chunked_attention' is not supported; full_attention and sliding_attention are")]
    [InlineData("qwen2", """{"layer_types": ["full_attention", "sliding_attention"]}""", "layer_types: has sliding_attention without a window")]
    [InlineData("qwen2", """{"layer_types": 3}""", "layer_types: must be a text or a list of texts")]
    [InlineData("qwen2", """{"architectures": ["Qwen2ForSequenceClassification"]}""", "'Qwen2ForSequenceClassification' is not supported")]
    [InlineData("gemma", """{"hidden_activation": "quick_gelu"}""", "hidden_activation: 'quick_gelu' is not supported; gelu, ")]
    [InlineData("mistral", """{"hidden_act": "gelu"}""", "hidden_act: 'gelu' is not supported; silu is")]
    [InlineData("qwen3", """{"head_dim": 7}""", "head_dim: 7 is odd")]
    [InlineData("qwen3", """{"num_key_value_heads": 2}""", "is not divisible by num_key_value_heads 2")]
    [InlineData("llama",
        """{"rope_scaling": {"type": "dynamic", "factor": 2.0}}""",
        "rope_scaling.type: the scaling 'dynamic' is not supported; default, linear, llama3, yarn are")]
    [InlineData("llama",
        """{"rope_parameters": {"rope_type": "longrope"}}""", "rope_parameters.rope_type: the scaling 'longrope' is not supported")]
    [InlineData("llama",
        """{"rope_parameters": {"full_attention": {"rope_theta": 1.0}}}""", "rope_parameters.full_attention: an embedding of its own")]
    [InlineData("llama", """{"rope_scaling": {"rope_type": "linear"}}""", "rope_scaling.factor: is missing")]
    [InlineData("llama",
        """{"rope_scaling": {"rope_type": "linear", "factor": 0}}""", "rope_scaling.factor: must be a finite number above 0, not 0.0")]
    [InlineData("llama", """{"rope_scaling": {"rope_type": "linear", "factor": "2"}}""", "rope_scaling.factor: must be a number")]
    [InlineData("llama",
        """{"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4}}""",
        "high_freq_factor: must be above low_freq_factor 4.0, not 4.0")]
    [InlineData("llama", """{"rope_scaling": {"rope_type": "llama3", "factor": 8, "high_freq_factor": 4}}""", "low_freq_factor: is missing")]
    [InlineData("llama",
        """{"rope_scaling": {"rope_type": "yarn", "factor": 8, "original_max_position_embeddings": 0}}""",
        "original_max_position_embeddings: must be above 0")]
    [InlineData("llama",
        """{"rope_scaling": {"rope_type": "yarn", "factor": 8, "beta_fast": 1, "beta_slow": 2}}""", "beta_fast: must not be below beta_slow 2.0, not 1.0")]
    [InlineData("llama",
        """{"rope_scaling": {"rope_type": "yarn", "factor": 8, "attention_factor": -1}}""", "attention_factor: must be a finite number above 0")]
    [InlineData("llama",
        """{"rope_scaling": {"rope_type": "yarn", "factor": 8, "mscale": -50, "mscale_all_dim": 1}}""", "mscale: must be a finite number above 0")]
    [InlineData("llama",
        """{"rope_theta": 0.5, "rope_scaling": {"rope_type": "yarn", "factor": 8}}""", "rope_theta: must be above 1 for the scaling 'yarn'")]
    [InlineData("llama", """{"rope_theta": 1e-300}""", "rope_theta: 1e-300 gives rotary angles that are not finite")]
    [InlineData("llama", """{"partial_rotary_factor": 0.5}""", "partial_rotary_factor: 0.5 is not supported")]
    [InlineData("llama", """{"partial_rotary_factor": "x"}""", "partial_rotary_factor: must be a finite number, not \"x\"")]
    [InlineData("llama", """{"original_max_position_embeddings": 7.5, "rope_scaling": {"type": "yarn"}}""",
        "original_max_position_embeddings: must be a whole number above 0, not 7.5")]
    [InlineData("llama", """{"rope_scaling": {"type": "yarn", "attention_factor": 1e300}}""", "attention_factor: must be a finite number above 0")]
    [InlineData("llama", """{"rope_scaling": [4]}""", "rope_scaling: is a list, not a JSON object")]
    public void AWrongFieldIsNamed(string family, string more, string expected)
    {
        Written(family, more);
        string message = Assert.Throws<DeloraFormatException>(() => ModelConfig.Load(Folder)).Message;
        Assert.Contains(ModelConfig.FileName, message);
        Assert.Contains(expected, message);
    }

    [Fact]
    public void WhatHasNoEffectIsTold()
    {
        Written("mistral", """{"layer_types": ["full_attention", "full_attention"], "rope_scaling": {"rope_type": "linear", "factor": 2.0, "strange": 1}}""");
        List<string> warnings = [];
        ModelConfig.Load(Folder, warnings.Add);
        Assert.Contains(warnings, warning => warning.Contains("config.json: layer_types has no effect", StringComparison.Ordinal));
        Assert.Contains(warnings, warning => warning.Contains("the field 'strange' of the rotary embedding is not used", StringComparison.Ordinal));
        Assert.Equal(2, warnings.Count);
    }

    [Fact]
    public void TheFamiliesAreKnownByName()
    {
        foreach (string family in (string[])["gemma", "llama", "mistral", "qwen2", "qwen3"]) Assert.Contains(family, ModelConfig.Families);
        Assert.DoesNotContain("mamba", ModelConfig.Families);
    }

    /// <summary>Writes the configuration of a small model, with more fields.</summary>
    private JsonObject Written(string family, string more, bool bare = false)
    {
        JsonObject file = JsonNode.Parse(
            """{"vocab_size": 37, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 3}""")!.AsObject();
        file["model_type"] = family;
        if (!bare)
        {
            file["num_key_value_heads"] = 1;
            file["max_position_embeddings"] = 32;
        }
        foreach ((string field, JsonNode? value) in JsonNode.Parse(more)!.AsObject()) file[field] = value?.DeepClone();
        _folder.Write(ModelConfig.FileName, file.ToJsonString());
        return file;
    }
}
