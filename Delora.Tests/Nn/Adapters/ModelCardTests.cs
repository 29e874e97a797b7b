using Delora.Nn;

namespace Delora.Tests.Nn.Adapters;

/// <summary>The front matter of a model card is YAML whatever the base model is called.</summary>
public sealed class ModelCardTests
{
    [Theory]
    [InlineData("meta-llama/Llama-3.2-1B", "meta-llama/Llama-3.2-1B")]
    [InlineData("./models/base", "./models/base")]
    [InlineData("a model", "\"a model\"")]
    [InlineData("a#b", "\"a#b\"")]
    [InlineData("a, b", "\"a, b\"")]
    [InlineData("model:", "\"model:\"")]
    [InlineData("-x", "\"-x\"")]
    [InlineData("3.5", "\"3.5\"")]
    [InlineData("No", "\"No\"")]
    [InlineData(@"C:\a ""b""", @"""C:\\a \""b\""""")]
    [InlineData("two\nlines", "\"two\\u000alines\"")]
    public void NamesAreQuotedWhereYamlReadsSomethingElse(string model, string scalar)
    {
        string card = ModelCard.Compose(null, [("default", new DeloraConfig { BaseModelNameOrPath = model })], isTransformers: false);
        Assert.Contains($"\nbase_model: {scalar}\n", card, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatOthersWroteStays()
    {
        const string old = "---\nlicense: mit\ntags:\n- mine\nbase_model: other\n---\n\nMy text.\n";
        string card = ModelCard.Compose(old, [("default", new DeloraConfig { BaseModelNameOrPath = "base" })], isTransformers: true);
        Assert.Equal(
            "---\nlicense: mit\ntags:\n- base_model:adapter:base\n- mine\n- transformers\nbase_model: base\nlibrary_name: peft\n---\n\nMy text.\n", card);
    }
}
