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
public sealed class FineTuner : FineTuner<CausalLanguageModel, (int[] Inputs, int[] Targets), Evaluation>
{
    private readonly TokenRows _training;
    private readonly TokenRows? _evaluation;

    /// <summary>Puts a new adapter on the model.</summary>
    /// <param name="model">The base model, without adapters of its own.</param>
    /// <param name="training">What to train on.</param>
    /// <param name="options">How.</param>
    /// <param name="evaluation">What to evaluate on; null for nothing.</param>
    /// <param name="warn">Hears of names in the adapter's configuration that match nothing, and of dropout that is not applied.</param>
    /// <exception cref="DeloraFormatException">A field of the configuration is wrong, or it targets nothing.</exception>
    /// <exception cref="ArgumentException">An option is outside of its range.</exception>
    public FineTuner(
        CausalLanguageModel model, TokenRows training, FineTuningOptions options, TokenRows? evaluation = null, Action<string>? warn = null)
        : base(model, options, warn) => (_training, _evaluation) = (training, evaluation);

    /// <summary>
    /// How much memory the run would take, without loading the model's weights or computing anything: headers of files are read, and the code that
    /// would run is run on a device that only counts (<see cref="Devices.Planning"/>).
    /// </summary>
    /// <param name="folder">The model's folder.</param>
    /// <param name="device">Where the run would be.</param>
    /// <param name="training">What it would train on: the largest of its batches count.</param>
    /// <param name="options">How it would train.</param>
    /// <param name="evaluation">What it would evaluate on; null for nothing.</param>
    /// <param name="frozen">How linear layers would keep their weights: float32 where nothing is given.</param>
    /// <param name="checkpointing">See <see cref="PretrainedModel.Checkpointing"/>.</param>
    /// <exception cref="DeloraFormatException">The model's files or the adapter's configuration are wrong.</exception>
    /// <exception cref="DeviceException">The device is one whose memory cannot be planned.</exception>
    public static MemoryPlan Plan(
        string folder, Device device, TokenRows training, FineTuningOptions options, TokenRows? evaluation = null,
        FrozenWeightOptions? frozen = null, bool checkpointing = false) => PlanRun(
            device, twin => CausalLanguageModel.Load(folder, twin, frozen: frozen), model => new FineTuner(model, training, options, evaluation),
            checkpointing);

    private protected override int RowCount => _training.Count;

    private protected override int? EvaluationCount => _evaluation?.Count;

    private protected override BatchExtent[] Extents(bool evaluation) => [.. (evaluation ? _evaluation! : _training).RowExtents()];

    private protected override (int[] Inputs, int[] Targets) Take(ReadOnlySpan<int> rows) => _training.Take(rows);

    private protected override Tensor Loss(IReadOnlyList<Tensor> inputs) => Model.Loss(inputs[0], inputs[1]);

    private protected override int Samples((int[] Inputs, int[] Targets) batch) => batch.Inputs.Length;

    private protected override Evaluation Evaluate(IEnumerable<int[]> batches, CancellationToken cancellation) =>
        Evaluation.Of(Model, _evaluation!, batches, cancellation);

    private protected override IReadOnlyList<BatchInput> Inputs((int[] Inputs, int[] Targets) batch)
    {
        ((int[] ids, int[] targets), int length) = TokenRows.Trim(batch, _training.Length, LengthOf);
        Shape shape = [ids.Length / length, length];
        int counted = targets.Length - targets.AsSpan().Count(CrossEntropyKernel.IgnoreIndex);
        return [new("inputs", ids, shape), new("targets", targets, shape, LinearCrossEntropyRows.LaunchesOf(Model.Device, counted, targets.Length))];
    }

    private protected override int LengthOf(int longest) => BatchLengths.On(Model.Device, longest, _training.Length);

    private protected override Dictionary<string, string> DataSettings() => new()
    {
        ["training data"] = _training.Fingerprint,
        ["rows"] = _training.Count.ToString(CultureInfo.InvariantCulture),
        ["length of a row"] = _training.Length.ToString(CultureInfo.InvariantCulture),
    };
}

/// <summary>What every fine-tuning of an adapter has in common, whatever the model and its data.</summary>
/// <typeparam name="TModel">The base model.</typeparam>
/// <typeparam name="TBatch">What its loss is computed from.</typeparam>
/// <typeparam name="TEvaluation">What an evaluation finds.</typeparam>
public abstract partial class FineTuner<TModel, TBatch, TEvaluation> : IDisposable where TModel : PretrainedModel
{
    private readonly FineTuningOptions _options;
    private readonly Generator _generator;
    private readonly AdamW _optimizer;
    private readonly LambdaTraining? _lambda;
    private readonly List<(int Step, TEvaluation Evaluation)> _evaluations = [];
    private readonly string _fingerprint;

    private protected FineTuner(TModel model, FineTuningOptions options, Action<string>? warn)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        (Model, _options) = (model, options);
        _generator = new Generator(options.Seed);
        if (model.Config.DropoutLeftOut is { } dropout) warn?.Invoke($"{model.Config.Source}: not applied in training: {dropout}.");
        // Before the adapter: it may train biases and whole modules of the model.
        _fingerprint = model.Fingerprint();
        Peft = new PeftModel(model);
        try
        {
            Peft.AddAdapter(options.Adapter, _generator, warn: warn);
            _lambda = options.Lambda == new LambdaOptions() ? null : new LambdaTraining(Peft, options.Lambda);
            IReadOnlyList<ParameterGroup> groups =
                _lambda?.Groups() ?? [new ParameterGroup([.. Peft.TrainableParameters().Select(entry => entry.Parameter)])];
            _optimizer = new AdamW(groups, options.LearningRate, weightDecay: options.WeightDecay);
        }
        catch
        {
            Peft.Dispose();
            throw;
        }
    }

    /// <summary>The base model.</summary>
    public TModel Model { get; }

    /// <summary>The model with its adapter.</summary>
    public PeftModel Peft { get; }

    /// <summary>Evaluations of this run, with the steps that were taken before each.</summary>
    public IReadOnlyList<(int Step, TEvaluation Evaluation)> Evaluations => _evaluations;

    /// <summary>Told of each evaluation, while the model is in evaluation mode.</summary>
    public event Action<int, TEvaluation>? Evaluated;

    /// <summary>Told how far each layer has moved, after every <see cref="FineTuningOptions.MeasureBoundsEvery"/> steps and after the last.</summary>
    public event Action<int, BoundReport>? BoundsMeasured;

    /// <summary>Trains, and saves checkpoints and at the end the adapter.</summary>
    /// <param name="output">The adapter's folder, made where it does not exist; null to save nothing.</param>
    /// <param name="resume">Whether to go on from the newest checkpoint in the folder; where there is none the run starts anew.</param>
    /// <param name="progress">Told after each step.</param>
    /// <param name="cancellation">Ends the run between two steps, with a checkpoint.</param>
    /// <param name="warn">
    /// Hears of damaged checkpoints that are passed over, and on a CUDA card why steps are not replayed as graphs, where they are not.
    /// </param>
    /// <exception cref="DeloraFormatException">
    /// The checkpoint belongs to a run with other data, another model or other settings (the message shows the differences); or the folder
    /// holds checkpoints and the run should not resume.
    /// </exception>
    /// <exception cref="InvalidOperationException">The run has been made, and should not resume.</exception>
    /// <exception cref="NonFiniteException">
    /// The loss, a gradient or a parameter that was to be saved became NaN or infinite; earlier checkpoints are as they were.
    /// </exception>
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
        if (checkpoint is null && _optimizer.StepCount > 0)
            throw new InvalidOperationException("This run has been made; resume it, or make another tuner.");
        if (output is not null) FolderFile.Make(output);
        if (checkpoint is not null)
        {
            checkpoint.Restore(Peft, _optimizer);
            _generator.State = checkpoint.Random;
        }
        int done = checkpoint?.Step ?? 0;
        _lambda?.Begin(done);
        Trainer<TBatch> trainer = MakeTrainer(warn);
        // Before what saves: λ belongs to the step.
        if (_lambda is not null) trainer.Callbacks.Add(_lambda);
        trainer.Callbacks.Add(new Session(this, trainer, output, settings, cancellation));
        var order = new ShuffledBatches(RowCount, _options.BatchSize, _options.Seed);
        order.SkipTo((long)done * _options.GradientAccumulation);
        // After the last step as well: the run may have been stopped while it evaluated there.
        if (done == 0 || done == _options.Steps) Evaluate(done, cancellation);
        Model.Train();
        try
        {
            TrainingResult result = trainer.Run(
                _ => Take(order.Next()),
                new TrainerOptions
                {
                    Steps = _options.Steps,
                    StepsDone = done,
                    Schedule = _options.MakeSchedule(),
                    GradientAccumulation = _options.GradientAccumulation,
                    MaxGradientNorm = _options.MaxGradientNorm,
                    NonFinite = _options.NonFinite,
                    UseCudaGraph = _options.UseCudaGraph,
                },
                progress, cancellation);
            return result with { SkippedSteps = (int)(result.Steps - _optimizer.StepCount) };
        }
        finally
        {
            Recorded = trainer.Recorded;
            Model.Train(false);
        }
    }

    /// <summary>Takes the adapter from the model and frees it.</summary>
    public virtual void Dispose()
    {
        _optimizer.Dispose();
        Peft.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>What of the last run was replayed from graphs.</summary>
    internal RecordedSteps Recorded { get; private set; } = RecordedSteps.None;

    /// <summary>Rows to train on.</summary>
    private protected abstract int RowCount { get; }

    /// <summary>Rows to evaluate on; null where there is nothing.</summary>
    private protected abstract int? EvaluationCount { get; }

    private protected FineTuningOptions Options => _options;

    /// <summary>All random numbers of the run; checkpoints hold its state.</summary>
    private protected Generator Generator => _generator;

    /// <summary>The rows of a batch.</summary>
    private protected abstract TBatch Take(ReadOnlySpan<int> rows);

    /// <summary>What the loss of a batch is computed from, as it comes to the device.</summary>
    private protected abstract IReadOnlyList<BatchInput> Inputs(TBatch batch);

    /// <summary>The mean loss, a scalar [], from tensors of <see cref="Inputs"/>.</summary>
    private protected abstract Tensor Loss(IReadOnlyList<Tensor> inputs);

    /// <summary>How long a batch is made whose longest row has so many positions.</summary>
    private protected abstract int LengthOf(int longest);

    /// <summary>What progress counts of a batch.</summary>
    private protected abstract int Samples(TBatch batch);

    /// <summary>Evaluates the model, which is in evaluation mode, on batches of rows.</summary>
    private protected abstract TEvaluation Evaluate(IEnumerable<int[]> batches, CancellationToken cancellation);

    /// <summary>What each row makes of a batch.</summary>
    private protected abstract BatchExtent[] Extents(bool evaluation);

    /// <summary>What names the data; a run that resumes must agree in it.</summary>
    private protected abstract Dictionary<string, string> DataSettings();

    private void Evaluate(int step, CancellationToken cancellation)
    {
        if (EvaluationCount is not { } rows) return;
        bool training = Model.IsTraining;
        Model.Train(false);
        try
        {
            TEvaluation evaluation = Evaluate(Enumerable.Range(0, rows).Chunk(_options.BatchSize), cancellation);
            _evaluations.Add((step, evaluation));
            // Still in evaluation mode: who generates a sample here draws no dropout mask from the run's random numbers.
            Evaluated?.Invoke(step, evaluation);
        }
        finally
        {
            Model.Train(training);
        }
    }

    /// <summary>What the numbers of the run depend on.</summary>
    private Dictionary<string, string> Settings()
    {
        var settings = new Dictionary<string, string>(_options.Settings())
        {
            ["model"] = _fingerprint,
            // The number of threads changes nothing; another vector width rounds differently.
            ["device"] = Model.Device is CpuDevice cpu ? $"CPU, {(int)cpu.Simd}-bit vectors" : Model.Device.Name,
        };
        foreach ((string name, string value) in DataSettings()) settings.Add(name, value);
        // Absent where all is float32, which checkpoints say by saying nothing.
        FrozenWeightReport report = FrozenWeightReport.Of(Model);
        if (report.Layers.Any(layer => layer.Storage != FrozenStorage.Float32)) settings["weights"] = report.Storages;
        if (Model.Device is GpuDevice { MatMulPrecision: not MatMulPrecision.Float32 } gpu) settings["precision"] = gpu.MatMulPrecision.Name;
        return settings;
    }
}
