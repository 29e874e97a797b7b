using System.CommandLine;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Cli;

/// <summary><c>delora train</c>: trains an adapter of a language model on text, or of a classifier on labelled texts or words.</summary>
internal static class TrainCommand
{
    /// <summary>The command of one console.</summary>
    public static Command Create(CliConsole console) =>
        Create((options, stop) => Task.Run(() => TrainingSession.Run(console, options, stop), stop), console.Warn);

    /// <param name="run">Trains and returns the exit code.</param>
    /// <param name="warn">Hears of what has no effect.</param>
    public static Command Create(Func<TrainOptions, CancellationToken, Task<int>> run, Action<string>? warn = null)
    {
        Option<string?> model = ModelOptions.Model(), data = ModelOptions.Data();
        Option<string?> evalData = ValueOptions.PathAsGiven("--eval-data", "FILE", "Text to evaluate on, in the same forms.");
        Option<string?> output = ValueOptions.RequiredPath("--out", "FOLDER", "Where checkpoints and at the end the adapter are written.");
        AdapterOptions adapter = new();
        Option<double> learningRate = ValueOptions.Positive("--lr", "Learning rate of AdamW at its highest.", 1e-3);
        LambdaOptionSet lambda = new();
        Option<double> decay = ValueOptions.NotNegative("--weight-decay", "AdamW's decoupled weight decay.", 0);
        Option<string> schedule = ValueOptions.Choice(
            "--schedule", "How the learning rate goes after the warm-up.", "cosine", "constant", "linear", "cosine");
        Option<int> warmup = ValueOptions.Count("--warmup", "Steps over which the learning rate rises.", 0, least: 0);
        Option<int> batch = ModelOptions.Batch();
        Option<int?> length = ModelOptions.Length();
        Option<double?> epochs = ValueOptions.PositiveOrNone("--epochs", "Passes over the data, also 0.5. [default: 1]");
        Option<int?> steps = ValueOptions.CountOrNone("--steps", "Optimizer steps, instead of --epochs.");
        Option<int> accumulate = ValueOptions.Count("--accumulate", "Batches whose gradients make one step.", 1, most: 1 << 16);
        Option<double> clip = ValueOptions.NotNegative("--clip", "Gradients are scaled down to this norm; 0 for never.", 1);
        Option<int> evalEvery = ValueOptions.Count(
            "--eval-every", "Steps between evaluations; 0: before the first step and after the last.", 0, least: 0);
        Option<int> boundsEvery = ValueOptions.Count(
            "--bounds-every", "Steps between lines that say how near ‖ΔW‖ has come to its bound; 0: after the last alone.", 0, least: 0);
        Option<int> saveEvery = ValueOptions.Count(
            "--save-every", "Steps between checkpoints; 0: at the end and when interrupted.", 100, least: 0);
        Option<int> keep = ValueOptions.Count("--keep", "Checkpoints to keep.", 2);
        Option<bool> special = ModelOptions.SpecialTokens("a language model's texts");
        Option<ulong> seed = ValueOptions.Seed(0);
        Option<string> weights = ModelOptions.Weights(), device = ValueOptions.Device();
        Option<MatMulPrecision> precision = ValueOptions.Precision();
        Option<bool> resume = new("--resume") { Description = "Go on from the newest checkpoint in --out, with the same options as before." };
        Option<bool> skip = new("--skip-non-finite") { Description = "Leave steps out whose loss or gradient is not finite, instead of stopping." };
        Option<bool> checkpointing = new("--checkpointing")
        {
            Description = "Compute each layer again on the way back instead of keeping what it made: less memory, more time, the same numbers.",
        };
        Option<string> graph = ValueOptions.Choice(
            "--cuda-graph",
            "On a CUDA card, record the passes of a batch and the optimizer's step, and replay each in one launch: the same numbers, less waiting for the "
            + "processor. What cannot be recorded is launched as ever, and a note says why.",
            "on", "on", "off");
        Option<bool> dryRun = new("--dry-run")
        {
            Description = "Tell how much memory the run would take, and what would save some; load no weights, train nothing, write nothing.",
        };
        Option<long?> memory = ValueOptions.SizeOrNone(
            "--memory", "Memory that the run may take, such as 24GiB or 24GB; a run that needs more is refused. [default: what the device has left]");
        Command command = new(
            "train",
            "Trains an adapter of a language model on a text, or of a classifier on labelled texts or words; interrupted, it goes on where it was, to the "
            + "last bit.")
        {
            model, data, output, evalData, special,
        };
        adapter.AddTo(command);
        lambda.AddTo(command);
        foreach (Option option in (Option[])
            [
                batch, length, epochs, steps, accumulate, learningRate, schedule, warmup, decay, clip, evalEvery, boundsEvery, saveEvery, keep,
                resume, skip, seed, weights, device, precision, checkpointing, graph, dryRun, memory,
            ])
            command.Add(option);
        command.SetAction((parsed, stop) =>
        {
            if (parsed.GetValue(epochs) is not null && parsed.GetValue(steps) is not null)
                throw new InputException("--epochs and --steps both say how long to train; give one of them");
            AdapterConfig config = adapter.Read(parsed, warn);
            return run(
                new TrainOptions
                {
                    Model = parsed.GetRequiredValue(model)!,
                    Data = parsed.GetRequiredValue(data)!,
                    EvalData = parsed.GetValue(evalData),
                    Out = parsed.GetRequiredValue(output)!,
                    SpecialTokens = parsed.GetValue(special),
                    Length = parsed.GetValue(length),
                    Epochs = parsed.GetValue(epochs),
                    Steps = parsed.GetValue(steps),
                    Device = parsed.GetRequiredValue(device),
                    Precision = parsed.GetValue(precision),
                    Frozen = ModelOptions.Frozen(parsed.GetRequiredValue(weights)),
                    Resume = parsed.GetValue(resume),
                    Checkpointing = parsed.GetValue(checkpointing),
                    DryRun = parsed.GetValue(dryRun),
                    Memory = parsed.GetValue(memory),
                    Tuning = new FineTuningOptions
                    {
                        Adapter = config,
                        Steps = 1,
                        BatchSize = parsed.GetRequiredValue(batch),
                        GradientAccumulation = parsed.GetRequiredValue(accumulate),
                        LearningRate = parsed.GetRequiredValue(learningRate),
                        Lambda = lambda.Read(parsed, config, adapter.IsFromFile(parsed)),
                        WeightDecay = parsed.GetRequiredValue(decay),
                        Schedule = Enum.Parse<ScheduleKind>(parsed.GetRequiredValue(schedule), ignoreCase: true),
                        WarmupSteps = parsed.GetRequiredValue(warmup),
                        MaxGradientNorm = parsed.GetRequiredValue(clip),
                        EvaluateEvery = parsed.GetRequiredValue(evalEvery),
                        MeasureBoundsEvery = parsed.GetRequiredValue(boundsEvery),
                        SaveEvery = parsed.GetRequiredValue(saveEvery),
                        KeepCheckpoints = parsed.GetRequiredValue(keep),
                        Seed = parsed.GetRequiredValue(seed),
                        UseCudaGraph = parsed.GetRequiredValue(graph) == "on",
                        NonFinite = parsed.GetValue(skip) ? NonFinitePolicy.Skip : NonFinitePolicy.Stop,
                    },
                },
                stop);
        });
        return command;
    }
}
