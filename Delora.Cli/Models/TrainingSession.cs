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
        int length = folder.LengthOf(options.Length);
        return folder.Config is EncoderConfig
            ? Classifier(console, options, folder, length, stop)
            : LanguageModel(console, options, folder, length, stop);
    }

    private static int LanguageModel(CliConsole console, TrainOptions options, ModelFolder folder, int length, CancellationToken stop)
    {
        TokenRows training = folder.Rows(options.Data, length);
        TokenRows? evaluation = options.EvalData is { } file ? folder.Rows(file, length) : null;
        FineTuningOptions tuning = Tuning(options, training.Count, "CAUSAL_LM");
        Device device = SelectedDevice.Open(options.Device, options.Precision);
        using OutputFolder output = OpenOutput(options);
        using CausalLanguageModel model = folder.Load(device, options.Frozen);
        model.Checkpointing = options.Checkpointing;
        using FineTuner tuner = new(model, training, tuning, evaluation, console.Warn);
        TellInputs(
            console, folder, model, ModelFolder.Describe(options.Data, training),
            evaluation is null ? null : ModelFolder.Describe(options.EvalData!, evaluation));
        new TrainingSession<CausalLanguageModel, (int[] Inputs, int[] Targets), Evaluation>(console, options, output, tuner, tuning.Steps)
        {
            Describe = EvalCommand.Text,
            Unit = "tokens",
            Use = "generate",
            UseOn = "--prompt \"...\"",
        }.Train(stop);
        return ExitCode.Success;
    }

    private static int Classifier(CliConsole console, TrainOptions options, ModelFolder folder, int length, CancellationToken stop)
    {
        ClassificationRows training = folder.LabelledRows(options.Data, length);
        ClassificationRows? evaluation = options.EvalData is { } file ? folder.LabelledRows(file, length) : null;
        FineTuningOptions tuning = Tuning(options, training.Count, "SEQ_CLS");
        Device device = SelectedDevice.Open(options.Device, options.Precision);
        using OutputFolder output = OpenOutput(options);
        using SequenceClassifier model = folder.LoadClassifier(device, options.Frozen);
        model.Checkpointing = options.Checkpointing;
        using ClassifierTuner tuner = new(model, training, tuning, evaluation, console.Warn);
        TellInputs(
            console, folder, model, ModelFolder.Describe(options.Data, training),
            evaluation is null ? null : ModelFolder.Describe(options.EvalData!, evaluation));
        new TrainingSession<SequenceClassifier, ClassificationBatch, ClassificationEvaluation>(console, options, output, tuner, tuning.Steps)
        {
            Describe = EvalCommand.Text,
            Unit = "texts",
            Use = "classify",
            UseOn = "--text \"...\"",
        }.Train(stop);
        return ExitCode.Success;
    }

    private static FineTuningOptions Tuning(TrainOptions options, int rows, string task) => options.Tuning with
    {
        Adapter = options.Tuning.Adapter with { BaseModelNameOrPath = options.Model, TaskType = task },
        Steps = StepsOf(options, rows),
    };

    private static OutputFolder OpenOutput(TrainOptions options) =>
        ModelFolder.IsSame(options.Model, options.Out)
            ? throw new InputException($"--out '{options.Out}': is the model's folder; another one is wanted")
            : OutputFolder.Open(options.Out);

    private static void TellInputs(
        CliConsole console, ModelFolder folder, PretrainedModel model, string training, string? evaluation)
    {
        console.Output.WriteLine($"Model: {folder.Path}, {folder.Description}");
        console.Output.WriteLine($"Device: {model.Device.Name}");
        console.Output.WriteLine($"Weights: {ModelFolder.Describe(FrozenWeightReport.Of(model))}");
        console.Output.WriteLine($"Data: {training}");
        if (evaluation is not null)
            console.Output.WriteLine($"Evaluation: {evaluation}");
    }

    private static int StepsOf(TrainOptions options, int rows)
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
}

/// <summary>One run of <c>delora train</c>.</summary>
internal sealed class TrainingSession<TModel, TBatch, TEvaluation> where TModel : PretrainedModel
{
    private readonly CliConsole _console;
    private readonly TrainOptions _options;
    private readonly OutputFolder _output;
    private readonly FineTuner<TModel, TBatch, TEvaluation> _tuner;
    private readonly int _steps;

    public TrainingSession(
        CliConsole console, TrainOptions options, OutputFolder output, FineTuner<TModel, TBatch, TEvaluation> tuner, int steps) =>
        (_console, _options, _output, _tuner, _steps) = (console, options, output, tuner, steps);

    /// <summary>An evaluation in words.</summary>
    public required Func<TEvaluation, string> Describe { get; init; }

    /// <summary>What progress counts.</summary>
    public required string Unit { get; init; }

    /// <summary>The command that uses the adapter.</summary>
    public required string Use { get; init; }

    /// <summary>What it is used on.</summary>
    public required string UseOn { get; init; }

    /// <summary>Trains, and tells how it went.</summary>
    public void Train(CancellationToken stop)
    {
        _console.Output.WriteLine(_tuner.Peft.DescribeTrainableParameters());
        TellWhereItStarts();
        TrainingResult result;
        DeviceAllocator memory = _tuner.Model.Device.Memory;
        memory.ResetPeak();
        try
        {
            using ProgressPhase phase = new(_console, "Training", _steps, Unit);
            _tuner.Evaluated += (step, evaluation) => phase.WriteLine($"evaluation after step {step}: {Describe(evaluation)}");
            _tuner.BoundsMeasured += (step, bounds) =>
            {
                if (step < _steps) phase.WriteLine($"bounds after step {step}: {Distance(bounds)}");
            };
            result = _tuner.Run(_output.Path, _options.Resume, phase, stop, _console.Warn);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            _console.Output.WriteLine(
                TrainingCheckpoint.FindLatest(_output.Path) is { } checkpoint
                    ? $"Checkpoint: {checkpoint.Folder} (step {checkpoint.Step} of {_steps}). To go on, run the same command with --resume."
                    : "Stopped before the first step was done: nothing was saved.");
            throw;
        }

        if (_tuner.Model.Device is GpuDevice gpu)
            foreach (string kernel in gpu.SpillingKernels) _console.Warn($"the kernel {kernel}");
        if (result.SkippedSteps > 0)
            _console.Output.WriteLine($"Left out: {Printable.Count(result.SkippedSteps)} steps whose loss or gradient was not finite");
        _console.Output.WriteLine($"Peak memory: {Printable.Bytes(memory.Statistics.PeakBytesInUse)}, weights included");
        _console.Output.WriteLine(Distance(_tuner.Peft.BoundReport()));
        _console.Output.WriteLine($"Adapter: {_output.Path}");
        _console.Output.WriteLine(
            $"Use it: delora {Use} --model {Printable.Word(_options.Model)} --adapter {Printable.Word(_options.Out)} {UseOn}");
    }

    private void TellWhereItStarts()
    {
        TrainingCheckpoint? checkpoint = TrainingCheckpoint.FindLatest(_output.Path);
        if (checkpoint is null && File.Exists(_output.File(AdapterConfig.FileName)))
            throw new InputException($"--out '{_options.Out}': holds an adapter, and no checkpoint to go on from; choose another folder");
        if (!_options.Resume)
            return;
        _console.Output.WriteLine(
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
