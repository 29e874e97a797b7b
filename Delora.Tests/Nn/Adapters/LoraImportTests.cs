using System.Text.Json;
using System.Text.Json.Nodes;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn.Adapters;

/// <summary>LoRA folders of PEFT: every option of its configuration acts, has no effect, or is refused by name.</summary>
public sealed class LoraImportTests : IDisposable
{
    /// <summary>What PEFT 0.20 writes for plain LoRA.</summary>
    private const string PeftConfig = """
        {
          "alora_invocation_tokens": null, "alpha_pattern": {}, "arrow_config": null, "auto_mapping": null, "base_model_name_or_path": "b", "bias": "none",
          "corda_config": null, "ensure_weight_tying": false, "eva_config": null, "exclude_modules": [], "fan_in_fan_out": false, "inference_mode": true,
          "init_lora_weights": true, "kasa_config": null, "layer_replication": null, "layers_pattern": null, "layers_to_transform": null,
          "loftq_config": {}, "lora_alpha": 6, "lora_bias": false, "lora_dropout": 0.1, "lora_ga_config": null, "megatron_config": null,
          "megatron_core": "megatron.core", "modules_to_save": null, "monteclora_config": null, "peft_type": "LORA", "peft_version": "0.20.1",
          "qalora_group_size": 16, "r": 3, "rank_pattern": {}, "revision": null, "target_modules": ["0", "2"], "target_parameters": null,
          "task_type": null, "trainable_token_indices": null, "use_bdlora": null, "use_dora": false, "use_qalora": false, "use_rslora": false,
          "velora_config": null
        }
        """;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("{}", 3, 2.0, 3, 2.0)]
    [InlineData("""{"use_rslora": true, "lora_alpha": 4}""", 3, 2.3094010767585, 3, 2.3094010767585)]
    [InlineData("""{"rank_pattern": {"2": 1}, "alpha_pattern": {"2": 5.5}}""", 3, 2.0, 1, 5.5)]
    [InlineData("""{"rank_pattern": {"2": 4}, "use_rslora": true}""", 3, 3.4641016151378, 4, 3.0)]
    [InlineData("""{"alpha_pattern": {"[0-9]": 1.5}, "fan_in_fan_out": true, "megatron_config": {"x": 1}, "init_lora_weights": "gaussian"}""", 3, 0.5, 3, 0.5)]
    public void RanksAndScalingsAreThoseOfTheConfiguration(string changes, int rank0, double scaling0, int rank2, double scaling2)
    {
        (float[] a, float[] b) = Write(changes, rank0, rank2);
        using Sequential network = Network();
        using PeftModel model = new(network);
        model.Load(_folder.Path, strict: true);
        LoraAdapter[] adapters = [.. model.AdaptedLayers.Select(pair => (LoraAdapter)pair.Layer.Adapters["default"])];
        Assert.Equal([rank0, rank2], adapters.Select(adapter => adapter.Rank));
        Assert.Equal(scaling0, adapters[0].Scaling, 1e-12);
        Assert.Equal(scaling2, adapters[1].Scaling, 1e-12);
        using Tensor delta = adapters[1].DeltaWeight();
        Assert.Equal(scaling2 * Enumerable.Range(0, rank2).Sum(i => b[rank2 + i] * a[i * 5 + 3]), delta.ToArray<float>()[5 + 3], 1e-5);
    }

    public static TheoryData<string, string> Switches => new()
    {
        { "use_dora", "true" }, { "use_qalora", "true" }, { "use_bdlora", """{"nblocks": 2}""" }, { "lora_bias", "true" }, { "layer_replication", "[[0, 1]]" },
        { "alora_invocation_tokens", "[1, 2]" }, { "arrow_config", """{"top_k": 2}""" }, { "target_parameters", """["experts.w"]""" },
        { "trainable_token_indices", "[5]" }, { "kasa_config", """{"beta": 1}""" }, { "monteclora_config", """{"n": 1}""" },
        { "velora_config", """{"n": 1}""" },
        { "ensure_weight_tying", "true" }, { "init_lora_weights", "\"pissa\"" }, { "init_lora_weights", "\"olora\"" }, { "init_lora_weights", "\"loftq\"" },
        { "init_lora_weights", "\"corda\"" }, { "lora_alpha", "\"x\"" }, { "lora_dropout", "1" }, { "r", "0" },
    };

    [Theory, MemberData(nameof(Switches))]
    public void WhatComputesMoreThanLoraIsRefusedByName(string field, string value)
    {
        Write($$"""{"{{field}}": {{value}}}""", 3, 3);
        using Sequential network = Network();
        using PeftModel model = new(network);
        DeloraFormatException error = Assert.Throws<DeloraFormatException>(() => model.Load(_folder.Path));
        Assert.Equal((field, _folder.File(AdapterConfig.FileName)), (error.Field, error.File));
        Assert.Empty(model.Configs);
    }

    [Fact]
    public void EveryFieldOfPeftsConfigurationIsKnown()
    {
        Write("{}", 3, 3);
        List<string> warnings = [];
        AdapterConfig config = AdapterConfig.Load(_folder.File(AdapterConfig.FileName), warnings.Add);
        Assert.Empty(warnings);
        using JsonDocument before = JsonDocument.Parse(PeftConfig), after = JsonDocument.Parse(config.ToJson());
        Assert.Equal(Fields(before), Fields(after));

        static IEnumerable<string> Fields(JsonDocument json) => json.RootElement.EnumerateObject().Select(field => field.Name).Order(StringComparer.Ordinal);
    }

    /// <summary>Writes a folder with random tensors of these ranks and returns those of the second layer.</summary>
    private (float[] A, float[] B) Write(string changes, int rank0, int rank2)
    {
        JsonObject config = JsonNode.Parse(PeftConfig)!.AsObject();
        foreach ((string field, JsonNode? value) in JsonNode.Parse(changes)!.AsObject()) config[field] = value?.DeepClone();
        _folder.Write(AdapterConfig.FileName, config.ToJsonString());
        Random random = new(1);
        float[] Values(int count) => [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f)];
        (float[] a, float[] b) = (Values(rank2 * 5), Values(7 * rank2));
        using TensorScope scope = new();
        SafetensorsFile.Write(_folder.File(PeftModel.WeightsFileName),
        [
            new("base_model.model.0.lora_A.weight", Tensor.From(Values(rank0 * 6), [rank0, 6], Devices.Cpu, "A")),
            new("base_model.model.0.lora_B.weight", Tensor.From(Values(5 * rank0), [5, rank0], Devices.Cpu, "B")),
            new("base_model.model.2.lora_A.weight", Tensor.From(a, [rank2, 5], Devices.Cpu, "A")),
            new("base_model.model.2.lora_B.weight", Tensor.From(b, [7, rank2], Devices.Cpu, "B")),
        ]);
        return (a, b);
    }

    private static Sequential Network() =>
        new(new Linear(6, 5, Devices.Cpu, new Generator(1)), Activation.Relu(), new Linear(5, 7, Devices.Cpu, new Generator(2)));
}
