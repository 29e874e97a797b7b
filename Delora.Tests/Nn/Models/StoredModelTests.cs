using System.Text.Json;
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
