using System.CommandLine;
using System.Globalization;
using System.Text;
using Delora.Cli;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests;

public sealed class ClassifyDemoTests
{
    private static readonly ClassifySettings s_small = new()
    {
        Buckets = 512,
        EmbeddingDim = 16,
        HiddenDim = 24,
        BatchSize = 32,
        BaseSteps = 80,
        BaseLearningRate = 1e-2,
        AdaptationSteps = 60,
        EvaluateEvery = 30,
        WatchEvery = 5,
        Seeds = 2,
        Rank = 4,
        Methods =
        [
            new AdaptationSettings(AdaptationMethod.Delora, 2e-2, 8), new AdaptationSettings(AdaptationMethod.Lora, 2e-2, 8),
            new AdaptationSettings(AdaptationMethod.Full, 5e-3),
        ],
    };

    /// <summary>The table and the checks: all that does not depend on time and place.</summary>
    private static string Result(CliRun run) => run.Between("  Method", "Report:");

    /// <summary>Runs <c>demo classify</c> in a small form through the whole command line.</summary>
    private static async Task<CliRun> Run(
        Device device, StringWriter output, CancellationToken token, ClassifySettings? settings = null, params string[] arguments)
    {
        Command Demo(CliConsole console) => DemoCommand.Create(
            (_, _) => Task.FromResult(ExitCode.Failed),
            (options, stop) => Task.Run(() => ClassifyDemo.Run(console, options, settings ?? s_small, device, stop), stop));
        return await CliRun.Of(Demo, output, token, ["demo", "classify", .. arguments]);
    }

    private static async Task<CliRun> Run(Device device, TemporaryFolder text, string folder, ClassifySettings? settings = null)
    {
        using StringWriter output = new();
        return await Run(
            device, output, TestContext.Current.CancellationToken, settings, "--text-folder", text.Path, "--out", folder);
    }

    [Fact]
    public async Task WholeRunGivesTableReportAndAnAdapterThatLoads()
    {
        using TemporaryFolder text = new(), folder = new();
        SampleDocumentation.Write(text);
        CliRun outcome = await Run(Devices.Cpu, text, folder.Path);
        outcome.AssertSuccess();
        foreach (string method in (string[])["Base", "DeLoRA", "LoRA", "Full fine-tuning"])
            Assert.Contains($"  {method} ", Result(outcome), StringComparison.Ordinal);
        Assert.Equal(5, Result(outcome).Split('\n').Count(line => line.StartsWith("ok ", StringComparison.Ordinal)));
        Assert.DoesNotContain("FAILED", outcome.Output, StringComparison.Ordinal);
        Assert.Contains("0 of ", Result(outcome), StringComparison.Ordinal);
        Assert.Equal(
            [ClassifyDemo.AdapterName, ClassifyDemo.BaseName, ClassifyDemo.ReportName],
            Directory.EnumerateFileSystemEntries(folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));

        string report = File.ReadAllText(folder.File(ClassifyDemo.ReportName));
        Assert.Contains("Bound of DeLoRA", report, StringComparison.Ordinal);
        Assert.DoesNotContain("NaN", report, StringComparison.Ordinal);

        using SummaryNetwork network = SummaryNetwork.Load(folder.File(ClassifyDemo.BaseName), Devices.Cpu);
        using PeftModel peft = new(network);
        peft.Load(folder.File(ClassifyDemo.AdapterName));
        Assert.Equal(2 * s_small.Rank, peft.Configs[PeftModel.DefaultAdapter].R);
        Assert.All(peft.BoundReport().Layers, x => Assert.InRange(x.Norm, 1e-3, x.Bound!.Value));
    }

    [Fact]
    public async Task NumbersDependOnTheSeedAndNotOnTheThreads()
    {
        using TemporaryFolder text = new(), folder = new();
        SampleDocumentation.Write(text);
        ClassifySettings shorter = s_small with { BaseSteps = 40, AdaptationSteps = 30, Seeds = 1 };
        using CpuDevice one = new(threads: 1), two = new(threads: 2);
        CliRun a = await Run(one, text, folder.Path, shorter), b = await Run(two, text, folder.Path, shorter);
        Assert.Equal(Result(a), Result(b));

        using StringWriter output = new();
        CliRun other = await Run(
            two, output, TestContext.Current.CancellationToken, shorter, "--text-folder", text.Path, "--out", folder.Path, "--seed", "2");
        Assert.NotEqual(Result(a), Result(other));
    }

    [Fact]
    public async Task DeviceThatComputesInFloat64ReadsBackItsAdapterRounded()
    {
        using TemporaryFolder text = new(), folder = new();
        SampleDocumentation.Write(text);
        ClassifySettings shorter = s_small with { BaseSteps = 40, AdaptationSteps = 30, Seeds = 1 };
        CliRun outcome = await Run(Devices.Reference, text, folder.Path, shorter);
        outcome.AssertSuccess();
        Assert.Contains("ok     saved and loaded into a fresh copy of the base, the adapter predicts the same to 1e-5", Result(outcome));
    }

    [Theory]
    [InlineData("Base: step")]
    [InlineData("LoRA, seed 1 of 2: step")]
    public async Task InterruptionInMidTrainingIsOneLineAndLeavesTheFolderUsable(string when)
    {
        using TemporaryFolder text = new(), folder = new();
        SampleDocumentation.Write(text);
        using CancellationTokenSource source = new();
        using WatchedWriter output = new(when, source.Cancel);
        CliRun outcome = await Run(
            Devices.Cpu, output, source.Token, null, "--text-folder", text.Path, "--out", folder.Path);
        outcome.AssertInterrupted();
        Assert.Contains("stopped after 1 of", outcome.Output, StringComparison.Ordinal);
        Assert.False(File.Exists(folder.File(ClassifyDemo.ReportName)));
        Assert.DoesNotContain(Directory.EnumerateFiles(folder.Path), x => Path.GetFileName(x).StartsWith('.'));

        CliRun again = await Run(Devices.Cpu, text, folder.Path, s_small with { Seeds = 1 });
        again.AssertSuccess();
    }

    [Fact]
    public async Task MissingTextAndUnknownDeviceAreBadInput()
    {
        using TemporaryFolder folder = new();
        foreach ((string told, string[] arguments) in ((string, string[])[])
            [("there is no folder", ["--text-folder", folder.File("absent")]), ("--device", ["--device", "tpu"])])
        {
            await CliRun.Refused(told, ["demo", "classify", "--out", folder.File("out"), .. arguments]);
            Assert.False(Directory.Exists(folder.File("out")));
        }
    }

    [Fact]
    public async Task FailedCheckIsExitCode1AndStillReported()
    {
        using TemporaryFolder text = new(), folder = new();
        SampleDocumentation.Write(text);
        ClassifySettings idle = s_small with
        {
            BaseSteps = 80,
            AdaptationSteps = 1,
            Seeds = 1,
            Methods = [new AdaptationSettings(AdaptationMethod.Delora, 1e-9, 1e-3)],
        };
        CliRun outcome = await Run(Devices.Cpu, text, folder.Path, idle);
        Assert.Equal(ExitCode.Failed, outcome.ExitCode);
        Assert.StartsWith("delora: check failed: accuracy is gained", outcome.Error, StringComparison.Ordinal);
        Assert.Contains("FAILED", Result(outcome), StringComparison.Ordinal);
        Assert.True(File.Exists(folder.File(ClassifyDemo.ReportName)));
    }

    [Fact]
    public void NormBeyondItsBoundStopsTheRun()
    {
        RunRecorder<Scores> recorder = new(new Progress<StepProgress>()) { Watch = () => [new LayerUpdate("lin0", 1.1, 1)] };
        DeloraException error = Assert.Throws<DeloraException>(() => recorder.OnStart(default));
        Assert.Contains("lin0", error.Message, StringComparison.Ordinal);

        RunRecorder<Scores> rounded = new(new Progress<StepProgress>()) { Watch = () => [new LayerUpdate("lin0", 1 + 5e-6, 1)] };
        rounded.OnStart(default);
        Assert.Equal(1 + 5e-6, rounded.LargestShareOfBound);
    }

    [Fact]
    public void FigureIsMeanAndSampleDeviation()
    {
        Figure figure = Figure.Of([80, 81, 82]);
        Assert.Equal((81, 1), (figure.Mean, figure.Spread));
        Assert.Equal("81.0 ± 1.0", figure.Text("F1"));
        Assert.Equal("80.5", Figure.Of([80.5]).Text("F1"));
    }
}
