using System.Text;
using Delora.Cli;
using Delora.Nn;
using Delora.Tests.Golden;

namespace Delora.Tests;

public sealed class GenerateCommandTests
{
    [Fact]
    public async Task GreedyTextIsTheGeneratorsAndAlwaysTheSame()
    {
        using TinyModelFolder tiny = new();
        string[] arguments = ["generate", "--model", tiny.Model, "--prompt", "the cat", "--greedy", "--max-tokens", "9", "--device", "cpu"];
        string text = await CliRun.Succeeds(arguments);
        Assert.Equal(text, await CliRun.Succeeds([.. arguments, "--seed", "7"]));
        Assert.Equal("the cat" + text, await CliRun.Succeeds([.. arguments, "--echo"]));
        using CausalLanguageModel model = CausalLanguageModel.Load(tiny.Model, Kernels.Devices.Cpu);
        string expected = await new TextGenerator(model, TextTokenizer.Load(tiny.Model)).CompleteAsync(
            "the cat", new GenerationOptions { MaxNewTokens = 9 }, TestContext.Current.CancellationToken);
        Assert.Equal(expected + Environment.NewLine, text);
    }

    [Fact]
    public async Task TheSeedDecidesAndTheAdapterCounts()
    {
        using TinyModelFolder tiny = new();
        string[] arguments = ["generate", "--model", tiny.Model, "--prompt", "", "--max-tokens", "20", "--top-k", "50", "--top-p", "0.9"];
        string text = await CliRun.Succeeds([.. arguments, "--temperature", "1.5"]);
        Assert.Equal(text, await CliRun.Succeeds([.. arguments, "--temperature", "1.5"]));
        Assert.NotEqual(text, await CliRun.Succeeds([.. arguments, "--temperature", "1.5", "--seed", "1"]));
        string adapter = tiny.SaveAdapter("adapter", new DeloraConfig { R = 2, TargetModules = ModuleSelector.AllLinear });
        Assert.NotEqual(text, await CliRun.Succeeds([.. arguments, "--temperature", "1.5", "--adapter", adapter]));
    }

    [Fact]
    public async Task SpecialTokensOfThePromptAreTextUnlessAskedFor()
    {
        using TinyModelFolder tiny = new();
        string[] arguments = ["generate", "--model", tiny.Model, "--prompt", "the<|endoftext|>cat", "--greedy", "--max-tokens", "6"];
        using CausalLanguageModel model = CausalLanguageModel.Load(tiny.Model, Kernels.Devices.Cpu);
        var generator = new TextGenerator(model, TextTokenizer.Load(tiny.Model));
        foreach (bool parse in (bool[])[false, true])
        {
            string expected = await generator.CompleteAsync(
                "the<|endoftext|>cat", new GenerationOptions { MaxNewTokens = 6, ParseSpecial = parse }, TestContext.Current.CancellationToken);
            string text = await CliRun.Succeeds(parse ? [.. arguments, "--special-tokens"] : arguments);
            Assert.Equal(expected + Environment.NewLine, text);
        }
    }

    [Fact]
    public async Task VerboseTellsTheSpeedOnStandardError()
    {
        using TinyModelFolder tiny = new();
        CliRun run = await CliRun.Of("generate", "--model", tiny.Model, "--prompt", "the", "--max-tokens", "5", "-v", "--greedy");
        Assert.Equal(ExitCode.Success, run.ExitCode);
        Assert.Matches(@"^\d tokens in [0-9.]+ s: the first after [0-9.]+ s.*; (--max-tokens reached|the model ended the text)", run.Error);
        Assert.DoesNotContain("tokens in", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task APromptFileIsItsTextWithoutTheLastLineBreak()
    {
        using TinyModelFolder tiny = new();
        string[] arguments = ["generate", "--model", tiny.Model, "--greedy", "--max-tokens", "5", "--echo"];
        string expected = await CliRun.Succeeds([.. arguments, "--prompt", "a cat\nä"]);
        string file = tiny.PathOf("prompt.txt");
        File.WriteAllText(file, "a cat\nä\n", Encoding.UTF8);
        Assert.Equal(expected, await CliRun.Succeeds([.. arguments, "--prompt-file", file]));
        File.WriteAllBytes(file, [65, 0xFF]);
        await CliRun.Refused("is not UTF-8", [.. arguments, "--prompt-file", file]);
        await CliRun.Refused("cannot be read", [.. arguments, "--prompt-file", tiny.PathOf("absent")]);
    }

    [Fact]
    public async Task InterruptedItEndsTheLineAndReturns130()
    {
        using TinyModelFolder tiny = new();
        CliRun run = await CliRun.InterruptedAt("the cat", "generate", "--model", tiny.Model, "--prompt", "the cat", "--echo", "--max-tokens", "20");
        Assert.Equal((ExitCode.Interrupted, "delora: interrupted" + Environment.NewLine), (run.ExitCode, run.Error));
        Assert.StartsWith("the cat", run.Output, StringComparison.Ordinal);
        Assert.EndsWith(Environment.NewLine, run.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("either --prompt or --prompt-file")]
    [InlineData("either --prompt or --prompt-file", "--prompt", "a", "--prompt-file", "b")]
    [InlineData("--greedy leaves no choice", "--prompt", "a", "--greedy", "--temperature", "1")]
    [InlineData("--temperature '-1'", "--prompt", "a", "--temperature", "-1")]
    [InlineData("--temperature 'NaN'", "--prompt", "a", "--temperature", "NaN")]
    [InlineData("--top-p '0'", "--prompt", "a", "--top-p", "0")]
    [InlineData("--top-p '1.1'", "--prompt", "a", "--top-p", "1.1")]
    [InlineData("--top-k '0'", "--prompt", "a", "--top-k", "0")]
    [InlineData("--max-tokens '0'", "--prompt", "a", "--max-tokens", "0")]
    [InlineData("the model's context holds 32", "--prompt", "one two three four five six seven eight nine ten eleven twelve thirteen")]
    [InlineData("adapter_config.json: there is no such file", "--prompt", "a", "--adapter", "nowhere")]
    [InlineData("There is no device 'tpu'", "--prompt", "a", "--device", "tpu")]
    public async Task BadOptionsAreRefused(string told, params string[] options)
    {
        using TinyModelFolder tiny = new();
        CliRun run = await CliRun.Refused(told, ["generate", "--model", tiny.Model, .. options]);
        Assert.Equal("", run.Output);
    }

    [Fact]
    public async Task AnAdapterOfAnotherModelIsRefused()
    {
        using TinyModelFolder tiny = new();
        string adapter = tiny.SaveAdapter("adapter", new DeloraConfig { R = 2, TargetModules = ModuleSelector.Of("gate_proj") });
        string config = Path.Combine(tiny.Model, ModelConfig.FileName);
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"intermediate_size\": 40", "\"intermediate_size\": 41", StringComparison.Ordinal));
        await CliRun.Refused("does not fit the configuration", "generate", "--model", tiny.Model, "--prompt", "a");
        File.WriteAllText(config, File.ReadAllText(config).Replace("41", "40", StringComparison.Ordinal));
        string other = Path.Combine(adapter, AdapterConfig.FileName);
        File.WriteAllText(other, File.ReadAllText(other).Replace("gate_proj", "down_proj", StringComparison.Ordinal));
        await CliRun.Refused("model.layers.0.mlp.down_proj", "generate", "--model", tiny.Model, "--prompt", "a", "--adapter", adapter);
    }

    [Fact]
    public async Task ARealModelTellsTheStoryThatTransformersTells()
    {
        string model = SharedModels.Folder("stories260k").PathOrSkip();
        const string Story = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball.";
        string text = await CliRun.Succeeds("generate", "--model", model, "--greedy", "--prompt", "", "--max-tokens", "60");
        Assert.StartsWith(Story, text, StringComparison.Ordinal);
    }
}
