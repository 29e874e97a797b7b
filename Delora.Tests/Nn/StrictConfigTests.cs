using System.Text;
using System.Text.Json;
using Delora.Core;
using Delora.Nn;

namespace Delora.Tests.Nn;

/// <summary>Configurations that PEFT's constructor takes although they are wrong: kept as they are, refused when a model is wrapped.</summary>
public sealed class StrictConfigTests
{
    private static DeloraConfig Config(string json, PeftCompatibility mode = PeftCompatibility.Strict) =>
        DeloraConfig.FromFields(Encoding.UTF8.GetBytes(json), mode);

    [Theory]
    [InlineData("\"bias\": \"nope\"", "bias")]
    [InlineData("\"delora_lambda\": \"x\"", "delora_lambda")]
    [InlineData("\"module_dropout\": \"half\"", "module_dropout")]
    [InlineData("\"rank_pattern\": null", "rank_pattern")]
    [InlineData("\"lambda_pattern\": null", "lambda_pattern")]
    [InlineData("\"rank_pattern\": {\"q\": 1.5}", "rank_pattern[\"q\"]")]
    [InlineData("\"r\": 2.5", "r")]
    [InlineData("\"modules_to_save\": 3", "modules_to_save")]
    public void AWrongFieldIsKeptAndRefusedInTheEnd(string field, string named)
    {
        DeloraConfig config = Config($"{{{field}}}");
        Assert.Equal(named, Assert.Throws<DeloraFormatException>(() => config.Validate(PeftCompatibility.Strict)).Field);
        Assert.Equal(named, Assert.Throws<DeloraFormatException>(() => config.Validate()).Field);
        Assert.Throws<DeloraFormatException>(() => config.ToJson());
        using JsonDocument wanted = JsonDocument.Parse($"{{{field}}}"), written = JsonDocument.Parse(config.ToJson(PeftCompatibility.Strict));
        JsonProperty one = wanted.RootElement.EnumerateObject().Single();
        Assert.True(JsonElement.DeepEquals(one.Value, written.RootElement.GetProperty(one.Name)));
    }

    [Theory]
    [InlineData("\"r\": 0")]
    [InlineData("\"r\": \"8\"")]
    [InlineData("\"r\": null")]
    [InlineData("\"task_type\": \"NOPE\"")]
    [InlineData("\"layers_pattern\": \"layers\"")]
    [InlineData("\"nonsense\": 1")]
    public void WhatPeftsConstructorRefusesIsRefusedAtOnce(string field) => Assert.Throws<DeloraFormatException>(() => Config($"{{{field}}}"));

    [Fact]
    public void WhatPeftLetsPassPasses()
    {
        DeloraConfig config = Config("""{"delora_lambda": " 2.5 ", "module_dropout": -0.5, "bias": "some_only"}""");
        config.Validate(PeftCompatibility.Strict);
        Assert.Equal((2.5, 0.0, AdapterBias.AdapterOnly), (config.DeloraLambda, config.EffectiveDropout, config.Bias));
        Assert.Equal("module_dropout", Assert.Throws<DeloraFormatException>(() => config.Validate()).Field);
        // PyTorch's dropout takes 1, and what is not true is false.
        config = Config("""{"module_dropout": 1, "init_weights": null}""");
        config.Validate(PeftCompatibility.Strict);
        Assert.Equal((1.0, false), (config.EffectiveDropout, config.InitWeights));
        Assert.False(Config("""{"init_weights": 3}""").InitWeights);
        string[] refused = ["\"delora_lambda\": \"2.5\"", "\"module_dropout\": -0.5", "\"module_dropout\": 1", "\"bias\": \"some_only\"", "\"init_weights\": 3"];
        foreach (string field in refused)
            Assert.Throws<DeloraFormatException>(() => Config($"{{{field}}}", PeftCompatibility.Extended));
    }

    [Fact]
    public void AFileIsReadAsStrictlyAsItsModelIs()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write(AdapterConfig.FileName, """{"peft_type": "DELORA", "bias": "nope", "new": [1]}""");
        Assert.Throws<DeloraFormatException>(() => AdapterConfig.Load(path));
        AdapterConfig config = AdapterConfig.Load(path, compatibility: PeftCompatibility.Strict);
        Assert.Contains("\"bias\": \"nope\"", config.ToJson(PeftCompatibility.Strict));
        Assert.Contains("\"new\": [", config.ToJson(PeftCompatibility.Strict));
    }
}
