using Delora.Nn;

namespace Delora.Tests;

/// <summary><c>--weights</c>: how the commands keep a model's linear layers.</summary>
public sealed class WeightsOptionTests
{
    [Theory]
    [InlineData("float32", "float32 × 15 layers, .* exact;")]
    [InlineData("bfloat16", "bfloat16 × 15 layers, .* relative error 0.00")]
    [InlineData("stored", "float32 × 15 layers, .* exact;")]
    [InlineData("nf4", "float32 × 1, nf4 × 14 layers, .* relative error 0\\.0[6-9]")]
    public async Task EveryCommandKeepsWeightsSo(string weights, string told)
    {
        using TinyModelFolder tiny = new();
        Assert.Matches(told, await CliRun.Succeeds(tiny.Train("out", "--weights", weights)));
        string[] common = ["--model", tiny.Model, "--adapter", tiny.PathOf("out"), "--weights", weights, "--device", "cpu"];
        string evaluation = await CliRun.Succeeds(["eval", "--data", tiny.Data, "--length", "16", .. common]);
        Assert.Matches(told, evaluation);
        Assert.Matches("with the adapter: loss [0-9.]+", evaluation);
        Assert.NotEqual("", (await CliRun.Succeeds(["generate", "--prompt", "the cat", "--max-tokens", "3", "--greedy", .. common])).Trim());
    }

    [Fact]
    public async Task InspectShowsMemoryAndErrorOfEachLayer()
    {
        using TinyModelFolder tiny = new();
        string text = await CliRun.Succeeds("inspect", tiny.Model, "--weights", "int8");
        Assert.Matches(@"model\.layers\.1\.self_attn\.q_proj +\[24, 24\] +int8 +[0-9,]+ +[0-9.]+ % +0\.00[0-9]+ +[0-9.E-]+", text);
        Assert.Matches(@"lm_head +\[[0-9]+, 24\] +float32 +[0-9,]+ +[0-9.]+ % +0 +0", text);
        Assert.Matches("Weights: float32 × 1, int8 × 14 layers, .*; other weights", text);
        Assert.DoesNotContain("Kept as", await CliRun.Succeeds("inspect", tiny.Model), StringComparison.Ordinal);
    }

    [Fact]
    public async Task WhatDoesNotGoTogetherIsRefused()
    {
        using TinyModelFolder tiny = new();
        await CliRun.Refused("--weights belongs to a model folder", "inspect", Path.Combine(tiny.Model, WeightFiles.SingleName), "--weights", "nf4");
        CliRun run = await CliRun.Of(tiny.Train("out", "--weights", "int4"));
        Assert.Equal(Delora.Cli.ExitCode.BadInput, run.ExitCode);
        Assert.Contains("float32", run.Error, StringComparison.Ordinal);

        await CliRun.Succeeds(tiny.Train("out", "--weights", "nf4"));
        await CliRun.Refused("weights was float32 × 1, nf4 × 14", tiny.Train("out", "--weights", "int8", "--resume"));
    }
}
