using System.Text.Json;
using System.Text.Json.Nodes;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn.Models;

/// <summary>A model, merged in float32, is rounded once where it is stored in the type that its file had.</summary>
public sealed class StoredModelTests
{
    [Theory, InlineData(DType.BFloat16, "bfloat16"), InlineData(DType.Float16, "float16"), InlineData(DType.Float32, "float32")]
    public void AMergedModelIsStoredInTheTypeOfTheBase(DType type, string name)
    {
        using var folder = new TemporaryFolder();
        using LlamaForCausalLM model = TinyLlama.Create();
        using var peft = new PeftModel(model);
        peft.AddAdapter(new DeloraConfig { R = 2, DeloraLambda = 2, InitWeights = false }, new Generator(1));
        peft.Merge();
        model.Save(folder.Path, type);

        using (JsonDocument config = JsonDocument.Parse(File.ReadAllBytes(folder.File("config.json"))))
            Assert.Equal(name, config.RootElement.GetProperty("torch_dtype").GetString());
        using (SafetensorsFile file = SafetensorsFile.Open(folder.File("model.safetensors")))
            Assert.All(file.Entries, entry => Assert.Equal(type, entry.DType));
        using CausalLanguageModel loaded = CausalLanguageModel.Load(folder.Path, Devices.Cpu);
        using var scope = new TensorScope();
        foreach (((string tensor, ModuleState own), (_, ModuleState stored)) in model.NamedState().Zip(loaded.NamedState()))
            Assert.Equal(own.Read().ToArray<float>().Select(value => Rounded(value, type)), stored.Read().ToArray<float>());
    }

    /// <summary>Later versions of transformers call it <c>dtype</c>: it comes back under the name that the file had, with the type of what is stored.</summary>
    [Theory]
    [InlineData("llama", "torch_dtype"), InlineData("llama", "dtype"), InlineData("gpt2", "torch_dtype"), InlineData("gpt2", "dtype")]
    [InlineData("bert", "torch_dtype"), InlineData("bert", "dtype"), InlineData("roberta", "torch_dtype"), InlineData("roberta", "dtype")]
    public void TheTypeIsWrittenUnderTheNameThatTheFileHad(string family, string field)
    {
        using var folder = new TemporaryFolder();
        using (PretrainedModel made = family switch
        {
            "llama" => TinyLlama.Create(),
            "gpt2" => TinyGPT2.Create(),
            _ => TinyEncoder.Classifier(TinyEncoder.Config(family)),
        })
            made.Save(folder.Path);
        string path = folder.File(ModelConfig.FileName);
        JsonObject config = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        Assert.Equal("float32", (string?)config["torch_dtype"]);
        config.Remove("torch_dtype");
        config[field] = "float32";
        File.WriteAllText(path, config.ToJsonString());
        using PretrainedModel model = PretrainedModel.Load(folder.Path, Devices.Cpu);
        foreach ((DType type, string name) in ((DType, string)[])[(DType.BFloat16, "bfloat16"), (DType.Float32, "float32")])
        {
            model.Save(folder.Path, type);
            config[field] = name;
            Assert.True(JsonNode.DeepEquals(config, JsonNode.Parse(File.ReadAllText(path))), File.ReadAllText(path));
        }
    }

    [Fact]
    public void ANumberThatTheTypeCannotHoldIsRefusedAndNothingIsWritten()
    {
        using var folder = new TemporaryFolder();
        using LlamaForCausalLM model = TinyLlama.Create(freeze: false);
        Tensor first = model.NamedParameters().First().Parameter.Value;
        first.CopyFrom<float>([.. Enumerable.Repeat(1e5f, checked((int)first.ElementCount))]);
        Assert.Contains("float16 cannot hold", Assert.Throws<NonFiniteException>(() => model.Save(folder.Path, DType.Float16)).Message);
        Assert.False(File.Exists(folder.File("model.safetensors")));
    }

    /// <summary>Numbers are compared in pieces of 2^20: the last ones as well.</summary>
    [Fact]
    public void TheLastNumberOfALargeTensorIsLookedAt()
    {
        using var scope = new TensorScope();
        float[] numbers = [.. Enumerable.Range(0, (1 << 20) + 3).Select(i => i % 1000 / 8f)];
        Assert.Equal(numbers, Stored().Cast(DType.Float32).ToArray<float>());
        numbers[^1] = -1e5f;
        Assert.Contains("'W' holds -100000", Assert.Throws<NonFiniteException>(() => Stored()).Message);

        Tensor Stored() =>
            StoredFloats.Of([new("W", Tensor.From(numbers, [numbers.Length], Devices.Cpu))], DType.Float16).Single().Value;
    }

    private static float Rounded(float value, DType type) => type switch
    {
        DType.BFloat16 => (float)(BFloat16)value,
        DType.Float16 => (float)(Half)value,
        _ => value,
    };
}
