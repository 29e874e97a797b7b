using System.Globalization;
using Delora.Cli;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests;

/// <summary>Several adapters at once, adapters from a configuration file, and special tokens in data, by the command line.</summary>
public sealed class SeveralAdaptersTests
{
    [Fact]
    public async Task SeveralAdaptersAreAdded()
    {
        using TinyModelFolder tiny = new();
        string a = tiny.SaveAdapter("a", new DeloraConfig { R = 2, TargetModules = ModuleSelector.Of("q_proj", "v_proj") });
        string b = tiny.SaveAdapter("b", new LoraConfig { R = 3, TargetModules = ModuleSelector.AllLinear });
        string sum = tiny.PathOf("sum"), merged = tiny.PathOf("merged");
        await CliRun.Succeeds("combine", a, b, "--out", sum);
        string[] eval = ["eval", "--model", tiny.Model, "--data", tiny.Data, "--device", "cpu"];
        string both = await CliRun.Succeeds([.. eval, "--adapter", a, "--adapter", b]);
        double added = Loss(both, "with the adapters");
        Assert.Equal(Loss(await CliRun.Succeeds(eval), "base"), Loss(both, "base"));
        Assert.Equal(Loss(await CliRun.Succeeds([.. eval, "--adapter", sum]), "with the adapter"), added, 2e-4);
        Assert.NotEqual(Loss(await CliRun.Succeeds([.. eval, "--adapter", a]), "with the adapter"), added, 2e-3);

        string told = await CliRun.Succeeds("merge", "--model", tiny.Model, "--adapter", a, "--adapter", b, "--out", merged, "--device", "cpu");
        Assert.Contains($"Adapters: {a} + {b}, merged into", told, StringComparison.Ordinal);
        Assert.Equal(added, Loss(await CliRun.Succeeds(["eval", "--model", merged, .. eval[3..]]), "base"), 2e-4);
        string[] generate = ["generate", "--model", tiny.Model, "--prompt", "the cat", "--greedy", "--max-tokens", "6", "--device", "cpu"];
        Assert.Equal(await CliRun.Succeeds([.. generate, "--adapter", sum]), await CliRun.Succeeds([.. generate, "--adapter", a, "--adapter", b]));

        // Rounded once, and half the size.
        await CliRun.Succeeds(
            "merge", "--model", tiny.Model, "--adapter", a, "--out", tiny.PathOf("half"), "--device", "cpu", "--save-as", "bfloat16", "--max-shard-size", "9kb");
        using WeightFiles weights = WeightFiles.Open(tiny.PathOf("half"));
        Assert.All(weights.Entries, entry => Assert.Equal(DType.BFloat16, entry.DType));
        Assert.EndsWith(WeightFiles.IndexName, weights.Source, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AWrongAdapterIsSaidBeforeAnythingIsComputed()
    {
        using TinyModelFolder tiny = new();
        string a = tiny.SaveAdapter("a", new DeloraConfig { R = 2, ModulesToSave = ["lm_head"] });
        CliRun run = await CliRun.Refused("there is no such file", "eval", "--model", tiny.Model, "--data", tiny.Data, "--device", "cpu", "--adapter", "nowhere");
        Assert.DoesNotContain("base:", run.Output, StringComparison.Ordinal);
        await CliRun.Refused(
            "two of them train the same module as a whole", "generate", "--model", tiny.Model, "--prompt", "x", "--device", "cpu", "--adapter", a, "--adapter", a);
        await CliRun.Refused("a path is wanted", "eval", "--model", tiny.Model, "--data", tiny.Data, "--adapter", "");
    }

    /// <summary>Disabling an adapter leaves the biases that it trained; the base is evaluated without them.</summary>
    [Fact]
    public async Task TheBaseIsTheModelAloneAlsoWhereBiasesWereTrained()
    {
        using TinyModelFolder tiny = new(TinyDecoders.Qwen2);
        string[] eval = ["eval", "--model", tiny.Model, "--data", tiny.Data, "--device", "cpu"];
        double alone = Loss(await CliRun.Succeeds(eval), "base");
        foreach (AdapterBias bias in Enum.GetValues<AdapterBias>())
        {
            string adapter = tiny.SaveAdapter($"adapter{bias}", new DeloraConfig { R = 2, Bias = bias, ModulesToSave = ["norm"] });
            string both = await CliRun.Succeeds([.. eval, "--adapter", adapter]);
            Assert.Equal(alone, Loss(both, "base"));
            Assert.NotEqual(alone, Loss(both, "with the adapter"), 1e-2);
        }
    }

    [Fact]
    public async Task AnAdapterIsMadeAsAConfigurationFileSays()
    {
        using TinyModelFolder tiny = new();
        string file = tiny.Write("config/adapter_config.json", """
            {"peft_type": "DELORA", "r": 2, "delora_lambda": 3, "target_modules": ["q_proj", "v_proj", "down_proj"], "rank_pattern": {"down_proj": 5},
             "lambda_pattern": {"v_proj": 7}, "modules_to_save": ["lm_head"], "layers_to_transform": [1], "inference_mode": true}
            """);
        string[] train = ["train", "--model", tiny.Model, "--data", tiny.Data, "--device", "cpu", "--length", "16", "--steps", "2", "--config", file];
        await CliRun.Succeeds([.. train, "--out", tiny.PathOf("zeros"), "--init", "zeros", "--freeze-lambda"]);
        var saved = (DeloraConfig)AdapterConfig.Load(Path.Combine(tiny.PathOf("zeros"), AdapterConfig.FileName));
        Assert.Equal((2, 3.0, "CAUSAL_LM"), (saved.R, saved.DeloraLambda, saved.TaskType));
        Assert.Equal([1], saved.LayersToTransform!.Value);
        using (SafetensorsFile tensors = PeftModel.OpenWeights(tiny.PathOf("zeros")))
        {
            const string Layer = "base_model.model.model.layers.1.";
            Assert.Equal(5, tensors[$"{Layer}mlp.down_proj.delora_A"].Shape[0]);
            Assert.Equal(2, tensors[$"{Layer}self_attn.q_proj.delora_A"].Shape[0]);
            Assert.True(tensors.Contains("base_model.model.lm_head.weight"));
            Assert.Equal(13, tensors.Entries.Count());
            using Tensor lambda = tensors.ReadFloat($"{Layer}self_attn.v_proj.delora_lambda", Devices.Cpu);
            Assert.Equal(7, lambda.ToScalar());
        }
        // Residual where nothing is said: twice the rank in the file.
        await CliRun.Succeeds([.. train, "--out", tiny.PathOf("residual")]);
        Assert.Equal(4, AdapterConfig.Load(Path.Combine(tiny.PathOf("residual"), AdapterConfig.FileName)).R);
        await CliRun.Refused("--rank: --config says what the adapter is", [.. train, "--out", tiny.PathOf("no"), "--rank", "3"]);
        await CliRun.Refused("there is no such file", [.. train[..^1], tiny.PathOf("nowhere.json"), "--out", tiny.PathOf("no")]);
        string lora = tiny.Write("lora.json", """{"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]}""");
        await CliRun.Refused("--init belongs to --method delora", [.. train[..^1], lora, "--out", tiny.PathOf("no"), "--init", "zeros"]);
        Assert.False(Directory.Exists(tiny.PathOf("no")));
    }

    [Fact]
    public async Task NamesOfSpecialTokensInDataAreTokensWhereThatIsAsked()
    {
        using TinyModelFolder tiny = new();
        TextTokenizer tokenizer = TextTokenizer.Load(tiny.Model);
        string end = tokenizer.SpecialTokens.Single(token => token.Value == tokenizer.EndId).Key;
        string data = tiny.Write("chat.jsonl", $$"""{"text": "the cat{{end}}the mat"}""" + "\n");
        string[] eval = ["eval", "--model", tiny.Model, "--data", data, "--device", "cpu"];
        int plain = Tokens(await CliRun.Succeeds(eval)), special = Tokens(await CliRun.Succeeds([.. eval, "--special-tokens"]));
        // One token instead of its letters.
        Assert.Equal(tokenizer.Encode(end).Count - 1, plain - special);
        Assert.Contains(" 1 rows of up to ", await CliRun.Succeeds(eval), StringComparison.Ordinal);
        string[] train = ["train", "--model", tiny.Model, "--data", data, "--device", "cpu", "--steps", "1"];
        Assert.Contains($", {special} tokens to predict", await CliRun.Succeeds([.. train, "--out", tiny.PathOf("special"), "--special-tokens"]), StringComparison.Ordinal);
        await CliRun.Refused("training data was", [.. train, "--out", tiny.PathOf("special"), "--resume"]);

        static int Tokens(string text) => int.Parse(text.Split(" tokens to predict")[0].Split(", ")[^1], NumberStyles.AllowThousands, CultureInfo.InvariantCulture);
    }

    private static double Loss(string text, string name)
    {
        string line = text.Split(Environment.NewLine).Single(line => line.StartsWith(name + ":", StringComparison.Ordinal));
        return double.Parse(line.Split("loss ")[1].Split(',')[0], CultureInfo.InvariantCulture);
    }
}
