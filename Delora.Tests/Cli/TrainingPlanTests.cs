using Delora.Cli;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Nn.Models;

namespace Delora.Tests;

/// <summary>What <c>delora train</c> knows of its memory before it begins.</summary>
public sealed class TrainingPlanTests
{
    [Fact]
    public async Task ADryRunTellsThePlanAndDoesNothing()
    {
        using TinyModelFolder tiny = new();
        string text = await CliRun.Succeeds(tiny.Train("out", "--dry-run", "--eval-data", tiny.Data));
        Assert.Matches("Model: .*model, llama, [0-9,]+ parameters", text);
        Assert.Contains($"Trained: {(2 * ((2 * (24 + 24)) + 1 + (2 * (24 + 12)) + 1)):N0} parameters", text, StringComparison.Ordinal);
        foreach (string line in (string[])
            [
                @"Frozen weights \(float32 × 15\)", "Other weights", "Adapter", "Gradients", "Optimizer", "Activations and working memory", "Peak of the run",
                "Peak of loading", "Needed, with blocks kept for reuse and the program", "Left on the device", "--checkpointing", "--batch 2", "--batch 1",
                "--weights bfloat16", "--weights int8", "--weights nf4",
            ])
            Assert.Matches($"\n  {line} +[0-9.]+ [KMG]iB", text.ReplaceLineEndings("\n"));
        Assert.Contains("The run fits.", text, StringComparison.Ordinal);
        Assert.False(Directory.Exists(tiny.PathOf("out")));
        Assert.Contains("The run does not fit.", await CliRun.Succeeds(tiny.Train("out", "--dry-run", "--memory", "1MiB")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ARunThatNeedsMoreThanThereIsIsRefusedBeforeItBegins()
    {
        using TinyModelFolder tiny = new();
        CliRun run = await CliRun.Refused("are allowed; the least would be --checkpointing --batch 1 --weights nf4", tiny.Train("out", "--memory", "2MiB"));
        Assert.Matches(@"the run needs [0-9.]+ MiB of CPU .*weights [0-9.]+ KiB, adapter with gradients and optimizer [0-9.]+ KiB, activations", run.Error);
        Assert.Contains("2.0 MiB", run.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(tiny.PathOf("out")));
        await CliRun.Succeeds(tiny.Train("out", "--memory", "1GiB", "--steps", "1"));
        await CliRun.Refused("2.0 MiB are allowed", tiny.Train("other", "--memory", "2097152"));
    }

    /// <summary>Batches of a step beyond the first few need no more memory, and no time to plan.</summary>
    [Fact]
    public async Task ManyBatchesToAStepArePlannedAtOnce()
    {
        using TinyModelFolder tiny = new();
        Assert.Contains("The run fits.", await CliRun.Succeeds(tiny.Train("out", "--dry-run", "--accumulate", "65536", "--steps", "1")), StringComparison.Ordinal);
    }

    /// <summary>A model of 1.2 billion parameters; what would fit into less is told, and fits.</summary>
    [Fact]
    public async Task OptionsThatWouldFitAreNamed()
    {
        using TinyModelFolder tiny = new();
        LargeModel.Save(tiny.PathOf("large"), tied: true);
        foreach (string file in Directory.GetFiles(tiny.Model, "tokenizer*")) File.Copy(file, Path.Combine(tiny.PathOf("large"), Path.GetFileName(file)));
        string[] arguments = tiny.Train("out", "--memory", "3GiB");
        arguments[Array.IndexOf(arguments, "--model") + 1] = tiny.PathOf("large");
        CliRun run = await CliRun.Refused("are allowed; what would fit: --weights int8 (", arguments);
        Assert.Contains("--weights nf4 (", run.Error, StringComparison.Ordinal);
        string plan = await CliRun.Succeeds([.. arguments, "--weights", "nf4", "--dry-run"]);
        Assert.Contains("The run fits.", plan, StringComparison.Ordinal);
    }

    [Fact]
    public async Task TheReferenceDeviceTrainsWithoutAPlan()
    {
        using TinyModelFolder tiny = new();
        string[] arguments = tiny.Train("out", "--steps", "1");
        arguments[Array.IndexOf(arguments, "--device") + 1] = "reference";
        await CliRun.Refused("memory is planned for the other devices", [.. arguments, "--dry-run"]);
        await CliRun.Succeeds(arguments);
    }
}
