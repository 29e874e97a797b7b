using System.Globalization;
using Delora.Core;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>One run of <c>delora train</c>.</summary>
internal sealed class TrainingSession
{
    private readonly CliConsole _console;
    private readonly TrainOptions _options;
    private readonly OutputFolder _output;
    private readonly FineTuner _tuner;
    private readonly int _steps;

    private TrainingSession(CliConsole console, TrainOptions options, OutputFolder output, FineTuner tuner, int steps) =>
        (_console, _options, _output, _tuner, _steps) = (console, options, output, tuner, steps);

    /// <summary>Reads everything, trains, and tells how it went.</summary>
    /// <exception cref="InputException">Options, model and data do not go together, or the output folder cannot be used.</exception>
    /// <exception cref="DeloraException">A file is wrong, a number became NaN, or the system refused.</exception>
    /// <exception cref="OperationCanceledException">The run was interrupted; a checkpoint was written.</exception>
    public static int Run(CliConsole console, TrainOptions options, CancellationToken stop)
    {
        ModelFolder folder = ModelFolder.Open(console, options.Model);
        int length = folder.LengthOf(options.Length);
        TokenRows training = folder.Rows(options.Data, length);
        TokenRows? evaluation = options.EvalData is { } file ? folder.Rows(file, length) : null;
        int steps = StepsOf(options, training);
        Device device = SelectedDevice.Open(options.Device);
        if (ModelFolder.IsSame(options.Model, options.Out))
            throw new InputException($"--out '{options.Out}': is the model's folder; another one is wanted");
        using OutputFolder output = OutputFolder.Open(options.Out);
        using CausalLanguageModel model = folder.Load(device, options.Frozen);
        FineTuningOptions tuning = options.Tuning with
        {
            Adapter = options.Tuning.Adapter with { BaseModelNameOrPath = options.Model },
            Steps = steps,
        };
        using FineTuner tuner = new(model, training, tuning, evaluation, console.Warn);

        console.Output.WriteLine($"Model: {folder.Path}, {folder.Description}");
        console.Output.WriteLine($"Device: {device.Name}");
        console.Output.WriteLine($"Weights: {ModelFolder.Describe(FrozenWeightReport.Of(model))}");
        console.Output.WriteLine($"Data: {ModelFolder.Describe(options.Data, training)}");
        if (evaluation is not null)
            console.Output.WriteLine($"Evaluation: {ModelFolder.Describe(options.EvalData!, evaluation)}");
        console.Output.WriteLine(TrainableParameters(tuner));
        new TrainingSession(console, options, output, tuner, steps).Train(stop);
        return ExitCode.Success;
    }

    private static int StepsOf(TrainOptions options, TokenRows rows)
    {
        try
        {
            return options.Steps
                ?? FineTuningOptions.StepsOf(
                    options.Epochs ?? 1, rows.Count, options.Tuning.BatchSize, options.Tuning.GradientAccumulation);
        }
        catch (OverflowException e)
        {
            throw new InputException($"--epochs: {rows.Count} rows that often are more than {int.MaxValue} steps", e);
        }
    }

    /// <summary>The line that PEFT's <c>print_trainable_parameters</c> prints.</summary>
    private static string TrainableParameters(FineTuner tuner)
    {
        long trainable = tuner.Peft.TrainableParameters().Sum(entry => entry.Parameter.Value.ElementCount);
        long all = tuner.Model.Config.ParameterCount + trainable;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"trainable params: {trainable:N0} || all params: {all:N0} || trainable%: {100.0 * trainable / all:F4}");
    }

    private void Train(CancellationToken stop)
    {
        TellWhereItStarts();
        TrainingResult result;
        try
        {
            using ProgressPhase phase = new(_console, "Training", _steps, "tokens");
            _tuner.Evaluated += (step, evaluation) => phase.WriteLine($"evaluation after step {step}: {EvalCommand.Text(evaluation)}");
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

        if (result.SkippedSteps > 0)
            _console.Output.WriteLine($"Left out: {Printable.Count(result.SkippedSteps)} steps whose loss or gradient was not finite");
        _console.Output.WriteLine(Distance());
        _console.Output.WriteLine($"Adapter: {_output.Path}");
        _console.Output.WriteLine(
            $"Use it: delora generate --model {Printable.Word(_options.Model)} --adapter {Printable.Word(_options.Out)} --prompt \"...\"");
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
    private string Distance()
    {
        (string layer, _, double norm, double? bound) =
            _tuner.Peft.DeltaNorms().MaxBy(x => x.Bound is > 0 ? x.Norm / x.Bound.Value : x.Norm);
        return bound is > 0
            ? string.Create(
                CultureInfo.InvariantCulture,
                $"‖ΔW‖ is at most {100 * norm / bound.Value:F1} % of its bound ({layer}: {Printable.Number(norm)} of {Printable.Number(bound.Value)})")
            : $"‖ΔW‖ is at most {Printable.Number(norm)} ({layer}); the method sets no bound";
    }
}
