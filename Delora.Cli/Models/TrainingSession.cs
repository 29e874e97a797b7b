using System.Globalization;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>Runs of <c>delora train</c>: what is trained on what.</summary>
internal static class TrainingSession
{
    /// <summary>Reads everything, trains, and tells how it went.</summary>
    /// <exception cref="InputException">Options, model and data do not go together, or the output folder cannot be used.</exception>
    /// <exception cref="DeloraException">A file is wrong, a number became NaN, or the system refused.</exception>
    /// <exception cref="OperationCanceledException">The run was interrupted; a checkpoint was written.</exception>
    public static int Run(CliConsole console, TrainOptions options, CancellationToken stop)
    {
        ModelFolder folder = ModelFolder.Open(console, options.Model);
        ModelOptions.CheckSpecialTokens(folder, options.SpecialTokens);
        if (folder.Config is EncoderConfig)
            folder.RequireClassifier();
        int length = folder.LengthOf(options.Length);
        if (folder.LabelsTokens)
            return new TrainingSession<TokenClassifier, TokenClassificationRows, TokenClassificationBatch, TokenClassificationEvaluation>(
                console, options, folder)
            {
                Task = "TOKEN_CLS",
                Read = file => folder.LabelledWords(file, length),
                Count = rows => rows.Count,
                DescribeRows = ModelFolder.Describe,
                Load = device => (TokenClassifier)folder.LoadClassifier(device, options.Frozen),
                Plan = (device, training, tuning, evaluation, frozen, checkpointing) =>
                    TokenClassifierTuner.Plan(folder.Path, device, training, tuning, evaluation, frozen, checkpointing),
                Tune = (model, training, tuning, evaluation) => new TokenClassifierTuner(model, training, tuning, evaluation, console.Warn),
                Describe = EvalCommand.Text,
                Unit = "texts",
                Use = "classify",
                UseOn = "--text \"...\"",
            }.Run(stop);
        if (folder.Config is EncoderConfig)
            return new TrainingSession<SequenceClassifier, ClassificationRows, ClassificationBatch, ClassificationEvaluation>(console, options, folder)
            {
                Task = "SEQ_CLS",
                Read = file => folder.LabelledRows(file, length),
                Count = rows => rows.Count,
                DescribeRows = ModelFolder.Describe,
                Load = device => (SequenceClassifier)folder.LoadClassifier(device, options.Frozen),
                Plan = (device, training, tuning, evaluation, frozen, checkpointing) =>
                    ClassifierTuner.Plan(folder.Path, device, training, tuning, evaluation, frozen, checkpointing),
                Tune = (model, training, tuning, evaluation) => new ClassifierTuner(model, training, tuning, evaluation, console.Warn),
                Describe = EvalCommand.Text,
                Unit = "texts",
                Use = "classify",
                UseOn = "--text \"...\"",
            }.Run(stop);
        return new TrainingSession<CausalLanguageModel, TokenRows, (int[] Inputs, int[] Targets), Evaluation>(console, options, folder)
        {
            Task = "CAUSAL_LM",
            Read = file => folder.Rows(file, length, options.SpecialTokens),
            Count = rows => rows.Count,
            DescribeRows = ModelFolder.Describe,
            Load = device => folder.Load(device, options.Frozen),
            Plan = (device, training, tuning, evaluation, frozen, checkpointing) =>
                FineTuner.Plan(folder.Path, device, training, tuning, evaluation, frozen, checkpointing),
            Tune = (model, training, tuning, evaluation) => new FineTuner(model, training, tuning, evaluation, console.Warn),
            Describe = EvalCommand.Text,
            Unit = "tokens",
            Use = "generate",
            UseOn = "--prompt \"...\"",
        }.Run(stop);
    }
}

/// <summary>One run of <c>delora train</c>, of a kind of model on its kind of data.</summary>
internal sealed class TrainingSession<TModel, TRows, TBatch, TEvaluation>(CliConsole console, TrainOptions options, ModelFolder folder)
    where TModel : PretrainedModel where TRows : class
{
    /// <summary>The adapter's <c>task_type</c>.</summary>
    public required string Task { get; init; }

    /// <summary>Reads a file of data.</summary>
    public required Func<string, TRows> Read { get; init; }

    /// <summary>How many rows there are.</summary>
    public required Func<TRows, int> Count { get; init; }

    /// <summary>A file and its rows in words.</summary>
    public required Func<string, TRows, string> DescribeRows { get; init; }

    /// <summary>The memory that training on a device takes, with other options, storage of frozen weights, and checkpointing or not.</summary>
    public required Func<Device, TRows, FineTuningOptions, TRows?, FrozenWeightOptions, bool, MemoryPlan> Plan { get; init; }

    /// <summary>Loads the model.</summary>
    public required Func<Device, TModel> Load { get; init; }

    /// <summary>Makes what trains the model on rows, and evaluates it on others where there are any.</summary>
    public required Func<TModel, TRows, FineTuningOptions, TRows?, FineTuner<TModel, TBatch, TEvaluation>> Tune { get; init; }

    /// <summary>An evaluation in words.</summary>
    public required Func<TEvaluation, string> Describe { get; init; }

    /// <summary>What progress counts.</summary>
    public required string Unit { get; init; }

    /// <summary>The command that uses the adapter.</summary>
    public required string Use { get; init; }

    /// <summary>What it is used on.</summary>
    public required string UseOn { get; init; }

    /// <summary>Reads the data and the model, trains, and tells how it went; or tells only the plan of its memory.</summary>
    public int Run(CancellationToken stop)
    {
        TRows training = Read(options.Data);
        TRows? evaluation = options.EvalData is { } file ? Read(file) : null;
        FineTuningOptions tuning = options.Tuning with
        {
            Adapter = options.Tuning.Adapter with { BaseModelNameOrPath = options.Model, TaskType = Task },
            Steps = StepsOf(Count(training)),
        };
        Device device = SelectedDevice.Open(options.Device, options.Precision);
        var plan = new TrainingPlan(
            options, tuning, device, (asked, frozen, checkpointing) => Plan(device, training, asked, evaluation, frozen, checkpointing));
        if (options.DryRun)
            return plan.Tell(console, folder, DescribeRows(options.Data, training));
        using OutputFolder output = ModelFolder.IsSame(options.Model, options.Out)
            ? throw new InputException($"--out '{options.Out}': is the model's folder; another one is wanted")
            : OutputFolder.Open(options.Out);
        plan.Require();
        using TModel model = Load(device);
        model.Checkpointing = options.Checkpointing;
        using FineTuner<TModel, TBatch, TEvaluation> tuner = Tune(model, training, tuning, evaluation);
        console.Output.WriteLine($"Model: {folder.Path}, {folder.Description}");
        console.Output.WriteLine($"Device: {model.Device.Name}");
        console.Output.WriteLine($"Weights: {ModelFolder.Describe(FrozenWeightReport.Of(model))}");
        console.Output.WriteLine($"Data: {DescribeRows(options.Data, training)}");
        if (evaluation is not null)
            console.Output.WriteLine($"Evaluation: {DescribeRows(options.EvalData!, evaluation)}");
        Train(tuner, tuning.Steps, output, stop);
        return ExitCode.Success;
    }

    private void Train(FineTuner<TModel, TBatch, TEvaluation> tuner, int steps, OutputFolder output, CancellationToken stop)
    {
        console.Output.WriteLine(tuner.Peft.DescribeTrainableParameters());
        TellWhereItStarts(output);
        TrainingResult result;
        DeviceAllocator memory = tuner.Model.Device.Memory;
        memory.ResetPeak();
        try
        {
            using ProgressPhase phase = new(console, "Training", steps, Unit);
            tuner.Evaluated += (step, evaluation) => phase.WriteLine($"evaluation after step {step}: {Describe(evaluation)}");
            tuner.BoundsMeasured += (step, bounds) =>
            {
                if (step < steps) phase.WriteLine($"bounds after step {step}: {Distance(bounds)}");
            };
            result = tuner.Run(output.Path, options.Resume, phase, stop, console.Warn);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            console.Output.WriteLine(
                TrainingCheckpoint.FindLatest(output.Path) is { } checkpoint
                    ? $"Checkpoint: {checkpoint.Folder} (step {checkpoint.Step} of {steps}). To go on, run the same command with --resume."
                    : "Stopped before the first step was done: nothing was saved.");
            throw;
        }

        if (tuner.Model.Device is GpuDevice gpu)
        {
            foreach (string kernel in gpu.SpillingKernels) console.Warn($"the kernel {kernel}");
            foreach (string fallback in gpu.Fallbacks) console.Warn(fallback);
        }
        if (result.SkippedSteps > 0)
            console.Output.WriteLine($"Left out: {Printable.Count(result.SkippedSteps)} steps whose loss or gradient was not finite");
        console.Output.WriteLine($"Peak memory: {Printable.Bytes(memory.Statistics.PeakBytesInUse)}, weights included");
        console.Output.WriteLine(Distance(tuner.Peft.BoundReport()));
        console.Output.WriteLine($"Adapter: {output.Path}");
        console.Output.WriteLine(
            $"Use it: delora {Use} --model {Printable.Word(options.Model)} --adapter {Printable.Word(options.Out)} {UseOn}");
    }

    private int StepsOf(int rows)
    {
        try
        {
            return options.Steps
                ?? FineTuningOptions.StepsOf(options.Epochs ?? 1, rows, options.Tuning.BatchSize, options.Tuning.GradientAccumulation);
        }
        catch (OverflowException e)
        {
            throw new InputException($"--epochs: {rows} rows that often are more than {int.MaxValue} steps", e);
        }
    }

    private void TellWhereItStarts(OutputFolder output)
    {
        TrainingCheckpoint? checkpoint = TrainingCheckpoint.FindLatest(output.Path);
        if (checkpoint is null && File.Exists(output.File(AdapterConfig.FileName)))
            throw new InputException($"--out '{options.Out}': holds an adapter, and no checkpoint to go on from; choose another folder");
        if (!options.Resume)
            return;
        console.Output.WriteLine(
            checkpoint is null
                ? "There is no checkpoint yet: the run begins with the first step."
                : $"Newest checkpoint: {Path.GetFileName(checkpoint.Folder)}");
    }

    /// <summary>How far the adapter has moved the layers: the nearest to its bound, or the farthest where there is none.</summary>
    private static string Distance(BoundReport bounds)
    {
        LayerBound nearest = bounds.Nearest!;
        return nearest.Utilization is { } share
            ? string.Create(
                CultureInfo.InvariantCulture,
                $"‖ΔW‖ is at most {100 * share:F1} % of its bound ({nearest.Layer}: {Printable.Number(nearest.Norm)} of "
                + $"{Printable.Number(nearest.Bound!.Value)}, λ = {Printable.Number(nearest.Lambda!.Value)})")
            : $"‖ΔW‖ is at most {Printable.Number(nearest.Norm)} ({nearest.Layer}); the method sets no bound";
    }
}
