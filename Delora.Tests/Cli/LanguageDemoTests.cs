using System.CommandLine;
using Delora.Cli;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests;

public sealed class LanguageDemoTests
{
    private static readonly LanguageSettings s_small = new()
    {
        VocabularySize = 300,
        HiddenSize = 16,
        IntermediateSize = 32,
        Layers = 2,
        Heads = 2,
        KeyValueHeads = 1,
        Context = 32,
        BatchSize = 4,
        BaseSteps = 40,
        BaseLearningRate = 1e-2,
        AdaptationSteps = 20,
        EvaluateEvery = 10,
        WatchEvery = 5,
        EvaluationRows = 8,
        SampleTokens = 8,
        Seeds = 2,
        Rank = 2,
        Methods = [new AdaptationSettings(AdaptationMethod.Delora, 2e-2, 8), new AdaptationSettings(AdaptationMethod.Lora, 2e-2, 8)],
    };

    private static LanguageSettings Short => s_small with { BaseSteps = 10, AdaptationSteps = 8, EvaluateEvery = 4, Seeds = 1 };

    /// <summary>Samples, tables and checks, without the tokens a second: all that does not depend on time and place.</summary>
    private static string Result(CliRun run) => string.Join('\n', run.Between("Prompt:", "Report:").Split('\n').Select(WithoutRate));

    private static string WithoutRate(string line) =>
        line.Contains(" % ", StringComparison.Ordinal) ? line.TrimEnd()[..line.TrimEnd().LastIndexOf(' ')].TrimEnd() : line.TrimEnd();

    /// <summary>Runs <c>demo</c> in a small form through the whole command line.</summary>
    private static async Task<CliRun> Run(
        Device device, StringWriter output, LanguageSettings settings, CancellationToken token, params string[] arguments)
    {
        Command Demo(CliConsole console) => DemoCommand.Create(
            (options, stop) => Task.Run(() => LanguageDemo.Run(console, options, settings, device, stop), stop),
            (_, _) => Task.FromResult(ExitCode.Failed));
        return await CliRun.Of(Demo, output, token, ["demo", .. arguments]);
    }

    private static async Task<CliRun> Run(
        TemporaryFolder folder, LanguageSettings settings, Device? device = null, params string[] arguments)
    {
        if (!File.Exists(folder.File("text.txt")))
            folder.Write("text.txt", SampleTexts.File());
        using StringWriter output = new();
        return await Run(
            device ?? Devices.Cpu, output, settings, TestContext.Current.CancellationToken,
            ["--text", folder.File("text.txt"), "--out", folder.File("out"), .. arguments]);
    }

    [Fact]
    public async Task WholeRunLeavesModelAdaptersAndReportAndTheNextStartsFromTheBase()
    {
        using TemporaryFolder folder = new();
        CliRun outcome = await Run(folder, s_small);
        outcome.AssertSuccess();
        foreach (string method in (string[])["Base", "DeLoRA", "LoRA"])
            Assert.Contains($"  {method} ", Result(outcome), StringComparison.Ordinal);
        Assert.Equal(5, Result(outcome).Split('\n').Count(line => line.StartsWith("ok ", StringComparison.Ordinal)));
        Assert.DoesNotContain("FAILED", outcome.Output, StringComparison.Ordinal);
        Assert.Contains("held-out loss to the last bit", Result(outcome), StringComparison.Ordinal);
        foreach (string layer in (string[])["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])
            Assert.Contains($"  {layer} ", Result(outcome), StringComparison.Ordinal);
        Assert.Contains("delora generate --model ", outcome.Output, StringComparison.Ordinal);
        Assert.Equal(
            [LanguageDemo.AdapterName, LanguageDemo.BaseName, LanguageDemo.LoraAdapterName, LanguageDemo.ReportName],
            Directory.EnumerateFileSystemEntries(folder.File("out")).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        string report = File.ReadAllText(folder.File($"out/{LanguageDemo.ReportName}"));
        Assert.Contains("‖ΔW‖ of all layers together", report, StringComparison.Ordinal);
        Assert.DoesNotContain("NaN", report, StringComparison.Ordinal);

        using CausalLanguageModel model = CausalLanguageModel.Load(folder.File("out/base"), Devices.Cpu);
        using PeftModel peft = new(model);
        peft.Load(folder.File("out/adapter"));
        Assert.Equal(14, peft.BoundReport().Layers.Count);
        Assert.All(peft.BoundReport().Layers, x => Assert.InRange(x.Norm, 1e-3, x.Bound!.Value));

        CliRun again = await Run(folder, s_small);
        again.AssertSuccess();
        Assert.Contains("Base: kept from an earlier run", again.Output, StringComparison.Ordinal);
        Assert.Equal(Result(outcome), Result(again));
    }

    [Fact]
    public async Task DamagedOrOtherBaseIsTrainedAnewAndAForeignOneIsNotTouched()
    {
        using TemporaryFolder folder = new();
        CliRun first = await Run(folder, Short);
        string weights = folder.File("out/base/model.safetensors");
        byte[] bytes = File.ReadAllBytes(weights);
        bytes[^1] ^= 1;
        File.WriteAllBytes(weights, bytes);
        CliRun damaged = await Run(folder, Short);
        Assert.Contains("is damaged (model.safetensors has changed); it is trained anew", damaged.Output, StringComparison.Ordinal);
        Assert.Equal(Result(first), Result(damaged));

        CliRun other = await Run(folder, Short, null, "--seed", "2");
        Assert.Contains("other settings; it is trained anew", other.Output, StringComparison.Ordinal);
        CliRun retrained = await Run(folder, Short, null, "--seed", "2", "--retrain");
        Assert.DoesNotContain("kept", retrained.Output, StringComparison.Ordinal);
        Assert.Contains("Base: 10 steps", retrained.Output, StringComparison.Ordinal);

        File.Delete(folder.File($"out/base/{KeptBase.RecordName}"));
        byte[] before = File.ReadAllBytes(weights);
        CliRun foreign = await Run(folder, Short);
        Assert.Equal(ExitCode.BadInput, foreign.ExitCode);
        Assert.Contains("choose another --out", foreign.Error, StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllBytes(weights));
    }

    [Fact]
    public async Task NumbersDoNotDependOnTheThreads()
    {
        using TemporaryFolder folder = new();
        using CpuDevice one = new(threads: 1), two = new(threads: 2);
        CliRun a = await Run(folder, Short, one), b = await Run(folder, Short, two, "--retrain");
        Assert.Equal(Result(a), Result(b));
    }

    [Fact]
    public async Task DeviceThatComputesInFloat64ReadsBackItsAdapterRounded()
    {
        using TemporaryFolder folder = new();
        CliRun outcome = await Run(folder, Short with { BaseSteps = 3, AdaptationSteps = 4, EvaluationRows = 2 }, Devices.Reference);
        Assert.Contains("ok     saved and loaded again, base and adapter have the same held-out loss to 1e-5", outcome.Output);
    }

    [Theory]
    [InlineData("Base: step", false)]
    [InlineData("LoRA, seed 1 of 1: step", true)]
    public async Task InterruptionIsOneLineAndLeavesTheFolderUsable(string when, bool baseIsKept)
    {
        using TemporaryFolder folder = new();
        folder.Write("text.txt", SampleTexts.File());
        using CancellationTokenSource source = new();
        using WatchedWriter output = new(when, source.Cancel);
        CliRun outcome = await Run(
            Devices.Cpu, output, Short, source.Token, "--text", folder.File("text.txt"), "--out", folder.File("out"));
        outcome.AssertInterrupted();
        Assert.False(File.Exists(folder.File($"out/{LanguageDemo.ReportName}")));
        Assert.Equal(baseIsKept, Directory.Exists(folder.File("out/base")));
        if (baseIsKept)
            Assert.Equal(["base"], Directory.EnumerateFileSystemEntries(folder.File("out")).Select(Path.GetFileName));

        CliRun again = await Run(folder, Short);
        again.AssertSuccess();
        Assert.Equal(baseIsKept, again.Output.Contains("kept from an earlier run", StringComparison.Ordinal));
    }

    [Fact]
    public async Task BadTextAndUnknownDeviceAreBadInput()
    {
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder.File("latin1.txt"), [.. "na"u8, 0xEF, .. "ve"u8]);
        foreach ((string told, string[] arguments) in ((string, string[])[])
        [
            ("there is no file", ["--text", folder.File("absent")]), ("there is no file", ["--text", folder.Path]),
            ("is not UTF-8", ["--text", folder.File("latin1.txt")]), ("--device", ["--device", "tpu"]),
            ("characters to train on", ["--text", folder.Write("short.txt", "short")]),
            ("characters to train on", ["--text", folder.Write("empty.txt", "")]),
        ])
        {
            await CliRun.Refused(told, ["demo", "--out", folder.File("out"), .. arguments]);
            Assert.False(Directory.Exists(folder.File("out")));
        }
    }

    [Fact]
    public async Task FailedCheckIsExitCode1AndStillReported()
    {
        using TemporaryFolder folder = new();
        // A step that leads nowhere: the loss stays, or rises.
        LanguageSettings idle = Short with
        {
            AdaptationSteps = 1,
            WarmupShare = 1,
            Methods = [new AdaptationSettings(AdaptationMethod.Delora, 1e-9, 1e-3)],
        };
        CliRun outcome = await Run(folder, idle);
        Assert.Equal(ExitCode.Failed, outcome.ExitCode);
        Assert.StartsWith("delora: check failed: loss is gained", outcome.Error, StringComparison.Ordinal);
        Assert.Contains("FAILED", Result(outcome), StringComparison.Ordinal);
        Assert.True(File.Exists(folder.File($"out/{LanguageDemo.ReportName}")));
    }
}
