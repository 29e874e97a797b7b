using System.Globalization;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// Trains an adapter of a language model on text, with evaluations and checkpoints; interrupted at any moment, it goes on from the last
/// checkpoint as if nothing had happened, to the last bit.
/// <code>
/// using CausalLanguageModel model = CausalLanguageModel.Load("model-folder", Devices.Best().Device);
/// TokenRows rows = TextData.Load("text.txt", TextTokenizer.Load("model-folder"), length: 128);
/// using var tuner = new FineTuner(model, rows, new FineTuningOptions { Adapter = new DeloraConfig(), Steps = 200 });
/// tuner.Run("my-adapter");                     // adapter_config.json, adapter_model.safetensors: PEFT reads them
/// </code>
/// </summary>
/// <remarks>Between the making and the disposal the model carries the adapter; the model itself stays the caller's.</remarks>
public sealed class FineTuner : IDisposable
{
    private readonly FineTuningOptions _options;
    private readonly TokenRows _training;
    private readonly TokenRows? _evaluation;
    private readonly Generator _generator;
    private readonly AdamW _optimizer;
    private readonly List<(int Step, Evaluation Evaluation)> _evaluations = [];
    private readonly string _fingerprint;

    /// <summary>Puts a new adapter on the model.</summary>
    /// <param name="model">The base model, without adapters of its own.</param>
    /// <param name="training">What to train on.</param>
    /// <param name="options">How.</param>
    /// <param name="evaluation">What to evaluate on; null for nothing.</param>
    /// <param name="warn">Hears of names in the adapter's configuration that match nothing.</param>
    /// <exception cref="DeloraFormatException">A field of the configuration is wrong, or it targets nothing.</exception>
    /// <exception cref="ArgumentException">An option is outside of its range.</exception>
    public FineTuner(
        CausalLanguageModel model, TokenRows training, FineTuningOptions options, TokenRows? evaluation = null, Action<string>? warn = null)
    {
        options.Validate();
        (Model, _training, _options, _evaluation) = (model, training, options, evaluation);
        _generator = new Generator(options.Seed);
        // Before the adapter: it may train biases and whole modules of the model.
        _fingerprint = model.Fingerprint();
        Peft = new PeftModel(model);
        try
        {
            Peft.AddAdapter(options.Adapter, _generator, warn: warn);
            _optimizer = new AdamW(Groups(), options.LearningRate, weightDecay: options.WeightDecay);
        }
        catch
        {
            Peft.Dispose();
            throw;
        }
    }

    /// <summary>The base model.</summary>
    public CausalLanguageModel Model { get; }

    /// <summary>The model with its adapter.</summary>
    public PeftModel Peft { get; }

    /// <summary>Evaluations of this run, with the steps that were taken before each.</summary>
    public IReadOnlyList<(int Step, Evaluation Evaluation)> Evaluations => _evaluations;

    /// <summary>Told of each evaluation, while the model is in evaluation mode.</summary>
    public event Action<int, Evaluation>? Evaluated;

    /// <summary>Trains, and saves checkpoints and at the end the adapter.</summary>
    /// <param name="output">The adapter's folder, made where it does not exist; null to save nothing.</param>
    /// <param name="resume">Whether to go on from the newest checkpoint in the folder; where there is none the run starts anew.</param>
    /// <param name="progress">Told after each step.</param>
    /// <param name="cancellation">Ends the run between two steps, with a checkpoint.</param>
    /// <param name="warn">Hears of damaged checkpoints that are passed over.</param>
    /// <exception cref="DeloraFormatException">
    /// The checkpoint belongs to a run with other data, another model or other settings (the message shows the differences); or the folder
    /// holds checkpoints and the run should not resume.
    /// </exception>
    /// <exception cref="NonFiniteException">The loss or a gradient became NaN or infinite; earlier checkpoints are as they were.</exception>
    /// <exception cref="OperationCanceledException">The run was cancelled; a checkpoint was written.</exception>
    /// <exception cref="DeloraException">The system refused to write.</exception>
    public TrainingResult Run(
        string? output = null, bool resume = false, IProgress<TrainingProgress>? progress = null, CancellationToken cancellation = default,
        Action<string>? warn = null)
    {
        if (resume && output is null) throw new ArgumentException("Resuming needs the folder of the run.", nameof(resume));
        Dictionary<string, string> settings = output is null ? [] : Settings();
        TrainingCheckpoint? checkpoint = resume ? TrainingCheckpoint.FindLatest(output!, warn) : null;
        checkpoint?.CheckSettings(settings);
        if (!resume && output is not null && TrainingCheckpoint.FirstNameIn(output) is { } earlier)
            throw new DeloraFormatException(output, earlier, "belongs to an earlier run: resume it, or choose another folder.");
        if (output is not null) FolderFile.Make(output);
        if (checkpoint is not null)
        {
            checkpoint.Restore(Peft, _optimizer);
            _generator.State = checkpoint.Random;
        }
        int done = checkpoint?.Step ?? 0;
        var trainer = new Trainer<(int[] Inputs, int[] Targets)>(
            _optimizer, batch => Model.Loss(batch, _training.Length), batch => batch.Inputs.Length)
        {
            Callbacks = { new Session(this, output, settings, cancellation) },
        };
        var order = new ShuffledBatches(_training.Count, _options.BatchSize, _options.Seed);
        order.SkipTo((long)done * _options.GradientAccumulation);
        // After the last step as well: the run may have been stopped while it evaluated there.
        if (done == 0 || done == _options.Steps) Evaluate(done, cancellation);
        Model.Train();
        try
        {
            TrainingResult result = trainer.Run(
                _ => _training.Take(order.Next()),
                new TrainerOptions
                {
                    Steps = _options.Steps,
                    StepsDone = done,
                    Schedule = _options.MakeSchedule(),
                    GradientAccumulation = _options.GradientAccumulation,
                    MaxGradientNorm = _options.MaxGradientNorm,
                    NonFinite = _options.NonFinite,
                },
                progress, cancellation);
            return result with { SkippedSteps = (int)(result.Steps - _optimizer.StepCount) };
        }
        finally
        {
            Model.Train(false);
        }
    }

    /// <summary>Takes the adapter from the model and frees it.</summary>
    public void Dispose()
    {
        _optimizer.Dispose();
        Peft.Dispose();
    }

    private void Evaluate(int step, CancellationToken cancellation)
    {
        if (_evaluation is null) return;
        bool training = Model.IsTraining;
        Model.Train(false);
        try
        {
            Evaluation evaluation = Evaluation.Of(Model, _evaluation, _options.BatchSize, cancellation);
            _evaluations.Add((step, evaluation));
            // Still in evaluation mode: who generates a sample here draws no dropout mask from the run's random numbers.
            Evaluated?.Invoke(step, evaluation);
        }
        finally
        {
            Model.Train(training);
        }
    }

    private ParameterGroup[] Groups()
    {
        Parameter[] all = [.. Peft.TrainableParameters().Select(entry => entry.Parameter)];
        if (_options.LambdaLearningRate is not { } rate) return [new ParameterGroup(all)];
        HashSet<Parameter> lambdas = [.. Peft.AdaptedLayers.SelectMany(pair => pair.Layer.Adapters.Active.Select(name => pair.Layer.Adapters[name]))
            .OfType<DeloraAdapter>().Select(adapter => adapter.Lambda)];
        if (lambdas.Count == 0) throw new ArgumentException("The adapter has no λ that could have a learning rate of its own.");
        return
        [
            new ParameterGroup([.. all.Where(parameter => !lambdas.Contains(parameter))]),
            new ParameterGroup([.. all.Where(lambdas.Contains)]) { LearningRate = rate },
        ];
    }

    /// <summary>What the numbers of the run depend on.</summary>
    private Dictionary<string, string> Settings()
    {
        var settings = new Dictionary<string, string>(_options.Settings())
        {
            ["model"] = _fingerprint,
            // The number of threads changes nothing; another vector width rounds differently.
            ["device"] = Model.Device is CpuDevice cpu ? $"CPU, {(int)cpu.Simd}-bit vectors" : Model.Device.Name,
            ["training data"] = _training.Fingerprint,
            ["rows"] = _training.Count.ToString(CultureInfo.InvariantCulture),
            ["length of a row"] = _training.Length.ToString(CultureInfo.InvariantCulture),
        };
        // Left out where all is float32, as it was before there were others.
        FrozenWeightReport report = FrozenWeightReport.Of(Model);
        if (report.Layers.Any(layer => layer.Storage != FrozenStorage.Float32)) settings["weights"] = report.Storages;
        return settings;
    }

    /// <summary>Evaluates and saves in the course of a run.</summary>
    private sealed class Session(FineTuner tuner, string? output, Dictionary<string, string> settings, CancellationToken cancellation)
        : ITrainerCallback
    {
        private int _saved;

        public void OnStep(in TrainingProgress progress)
        {
            bool last = progress.Step == progress.TotalSteps;
            if (last || IsDue(progress.Step, tuner._options.SaveEvery)) Save(progress.Step);
            // A run that is cancelled meanwhile has its checkpoint first.
            if (last || IsDue(progress.Step, tuner._options.EvaluateEvery)) tuner.Evaluate(progress.Step, cancellation);
        }

        public void OnCompleted(TrainingResult result)
        {
            if (output is not null) tuner.Peft.Save(output);
        }

        public void OnCancelled(TrainingResult result) => Save(result.Steps);

        private static bool IsDue(int step, int every) => every > 0 && step % every == 0;

        private void Save(int step)
        {
            if (output is null || step == 0 || step == _saved) return;
            TrainingCheckpoint.Save(output, step, tuner.Peft, tuner._optimizer, tuner._generator.State, settings, tuner._options.KeepCheckpoints);
            _saved = step;
        }
    }
}
