using System.Text.Json.Nodes;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn.Models;

/// <summary>GPT-2 folders: as transformers writes them, and as they were published.</summary>
public sealed class GPT2FolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Folder => _folder.Path;

    public void Dispose() => _folder.Dispose();

    [Theory, InlineData(false), InlineData(true)]
    public void AModelComesBackBitByBit(bool tied)
    {
        using GPT2LMHeadModel model = TinyGPT2.Create(TinyGPT2.Config with { TieWordEmbeddings = tied, ScaleAttentionByInverseLayerIndex = true });
        model.Save(Folder);
        AssertSame(model);
        WeightWriter.Write(Folder, [.. model.NamedState()], maxShardBytes: 8000);
        Assert.True(File.Exists(_folder.File(WeightFiles.IndexName)));
        AssertSame(model);
    }

    [Fact]
    public void PublishedFilesWithoutThePrefixAndWithBuffersAreRead()
    {
        using GPT2LMHeadModel model = TinyGPT2.Create();
        model.Save(Folder);
        using (var scope = new TensorScope("bare names"))
        {
            List<KeyValuePair<string, Tensor>> tensors = [.. model.NamedState().Select(entry => KeyValuePair.Create(
                entry.Name["transformer.".Length..], entry.State.Read()))];
            foreach (string layer in (string[])["h.0", "h.1"])
            {
                tensors.Add(new($"{layer}.attn.bias", Tensor.Zeros([1, 1, 32, 32], DType.Float32, Devices.Cpu)));
                tensors.Add(new($"{layer}.attn.masked_bias", Tensor.Zeros([1], DType.Float32, Devices.Cpu)));
            }
            SafetensorsFile.Write(_folder.File(WeightFiles.SingleName), tensors);
        }
        AssertSame(model);
    }

    [Fact]
    public void NamesOfBothKindsTogetherAreListed()
    {
        using GPT2LMHeadModel model = TinyGPT2.Create();
        model.Save(Folder);
        using (var scope = new TensorScope("mixed names"))
            SafetensorsFile.Write(_folder.File(WeightFiles.SingleName), model.NamedState().Select(entry => KeyValuePair.Create(
                entry.Name.Replace("transformer.h.0.", "h.0.", StringComparison.Ordinal), entry.State.Read())));
        string message = Refused();
        Assert.Contains("missing transformer.h.0.ln_1.weight", message);
        Assert.Contains("not expected h.0.", message);
    }

    [Theory]
    [InlineData("n_head", "5", "n_embd: 24 is not divisible by n_head 5")]
    [InlineData("n_layer", "1000000000", "n_layer: must be from 1 to")]
    [InlineData("n_embd", "null", "n_embd: is missing")]
    [InlineData("n_positions", "0", "n_positions: must be from 1 to")]
    [InlineData("n_inner", "-1", "n_inner: must be from 1 to")]
    [InlineData("hidden_size", "25", "hidden_size: 25 contradicts n_embd 24")]
    [InlineData("activation_function", "\"quick_gelu\"", "'quick_gelu' is not supported; gelu, ")]
    [InlineData("add_cross_attention", "true", "add_cross_attention: true is not supported")]
    [InlineData("is_encoder_decoder", "true", "is_encoder_decoder: true is not supported")]
    [InlineData("pruned_heads", "{\"0\": [1]}", "pruned_heads: is not supported: every layer has all heads")]
    [InlineData("layer_norm_epsilon", "-1", "layer_norm_epsilon")]
    [InlineData("resid_pdrop", "1.5", "resid_pdrop: must be at least 0 and below 1, not 1.5")]
    [InlineData("quantization_config", "{\"bits\": 4}", "quantised weights are not supported")]
    [InlineData("scale_attn_weights", "1", "scale_attn_weights: must be true or false")]
    public void AWrongFieldIsNamed(string field, string value, string expected)
    {
        using (GPT2LMHeadModel model = TinyGPT2.Create()) model.Save(Folder);
        Edit(config => config[field] = JsonNode.Parse(value));
        Assert.Contains(expected, Refused());
    }

    [Fact]
    public void FieldsAreWrittenBackAndDropoutIsNotIgnoredInSilence()
    {
        using (GPT2LMHeadModel model = TinyGPT2.Create()) model.Save(Folder);
        Edit(config =>
        {
            config["n_ctx"] = 32;
            config["reorder_and_upcast_attn"] = false;
            config["hidden_size"] = 24;
            config["attn_pdrop"] = 0.25;
            config["pruned_heads"] = new JsonObject();
        });
        List<string> warnings = [];
        var config = (GPT2Config)ModelConfig.Load(Folder, warnings.Add);
        Assert.Empty(warnings);
        Assert.Equal("embd_pdrop 0.0, attn_pdrop 0.25, resid_pdrop 0.0", config.DropoutLeftOut);
        JsonObject written = JsonNode.Parse(config.ToJson())!.AsObject();
        Assert.Equal((32, 0.25, 32, false), ((int)written["n_ctx"]!, (double)written["attn_pdrop"]!, (int)written["n_positions"]!, (bool)written["reorder_and_upcast_attn"]!));
        Assert.DoesNotContain("max_position_embeddings", written.Select(field => field.Key));
        Assert.DoesNotContain("tie_word_embeddings", written.Select(field => field.Key));
    }

    /// <summary>As GPT2Config has it in transformers, as far as there is such a token; null is none.</summary>
    [Fact]
    public void AbsentEndsOfTextAreThoseOfTheFamily()
    {
        TinyGPT2.Config.Save(Folder);
        Assert.Equal((1, 2), Read(config => { }));
        Assert.Equal((null, null), Read(config =>
        {
            config.Remove("bos_token_id");
            config.Remove("eos_token_id");
        }));
        Assert.Equal((50256, 50256), Read(config => config["vocab_size"] = 50257));
        Assert.Equal((null, null), Read(config => config["bos_token_id"] = config["eos_token_id"] = null));

        (int? Begin, int? End) Read(Action<JsonObject> change)
        {
            Edit(change);
            ModelConfig config = ModelConfig.Load(Folder);
            return (config.BosTokenId, config.EosTokenIds is [int end] ? end : null);
        }
    }

    private void AssertSame(GPT2LMHeadModel model)
    {
        using CausalLanguageModel loaded = CausalLanguageModel.Load(Folder, Devices.Cpu, strict: true);
        Assert.Equal(model.Config.ToJson(), loaded.Config.ToJson());
        using var scope = new TensorScope("test");
        Assert.Equal(model.NamedState().Select(entry => entry.Name), loaded.NamedState().Select(entry => entry.Name));
        foreach (((string name, ModuleState saved), (_, ModuleState read)) in model.NamedState().Zip(loaded.NamedState()))
            Assert.True(saved.Read().ToArray<float>().AsSpan().SequenceEqual(read.Read().ToArray<float>()), name);
        Tensor ids = TinyLlama.Ids([1, 4], Devices.Cpu);
        Assert.Equal(model.Forward(ids).ToArray<float>(), loaded.Forward(ids).ToArray<float>());
    }

    private void Edit(Action<JsonObject> change)
    {
        JsonObject config = JsonNode.Parse(File.ReadAllText(_folder.File(ModelConfig.FileName)))!.AsObject();
        change(config);
        File.WriteAllText(_folder.File(ModelConfig.FileName), config.ToJsonString());
    }

    private string Refused() => Assert.Throws<DeloraFormatException>(() => CausalLanguageModel.Load(Folder, Devices.Cpu)).Message;
}
