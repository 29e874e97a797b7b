using System.Globalization;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// Trains an adapter and the head of a classifier on labelled texts, with evaluations and checkpoints; interrupted at any moment, it goes on
/// from the last checkpoint as if nothing had happened, to the last bit.
/// <code>
/// using SequenceClassifier model = SequenceClassifier.FromEncoder("bert-base", device, ["no", "yes"], new Generator(0));
/// ClassificationRows rows = ClassificationData.Load("train.jsonl", TextTokenizer.Load("bert-base"), model.Config, length: 128);
/// var options = new FineTuningOptions { Adapter = new DeloraConfig { TaskType = "SEQ_CLS" }, Steps = 200 };
/// using var tuner = new ClassifierTuner(model, rows, options);
/// tuner.Run("my-adapter");                     // the head is saved with the adapter, as PEFT does for SEQ_CLS
/// </code>
/// </summary>
/// <remarks>
/// A batch is as long as the longest of its texts. Dropout of the model takes its masks from the run's random numbers. Between the making
/// and the disposal the model carries the adapter; the model itself stays the caller's.
/// </remarks>
public sealed class ClassifierTuner : FineTuner<SequenceClassifier, ClassificationBatch, ClassificationEvaluation>
{
    private readonly ClassificationRows _training;
    private readonly ClassificationRows? _evaluation;
    private readonly Generator _before;

    /// <summary>Puts a new adapter on the model.</summary>
    /// <param name="model">The base model, without adapters of its own.</param>
    /// <param name="training">What to train on.</param>
    /// <param name="options">How. The adapter trains the head where its <c>task_type</c> is SEQ_CLS, or where it names it.</param>
    /// <param name="evaluation">What to evaluate on; null for nothing.</param>
    /// <param name="warn">
    /// Hears of names in the adapter's configuration that match nothing, and of a model that does not say that its texts have several labels.
    /// </param>
    /// <exception cref="DeloraFormatException">A field of the configuration is wrong, or it targets nothing.</exception>
    /// <exception cref="ArgumentException">An option is outside of its range, or the data's labels are not of the model's kind.</exception>
    public ClassifierTuner(
        SequenceClassifier model, ClassificationRows training, FineTuningOptions options, ClassificationRows? evaluation = null,
        Action<string>? warn = null)
        : base(model, options, warn)
    {
        (_training, _evaluation, _before) = (training, evaluation, model.DropoutGenerator);
        foreach (ClassificationRows rows in evaluation is null ? [training] : (ClassificationRows[])[training, evaluation])
            if (model.ProblemOf(rows.Problem) != rows.Problem || rows.Problem != training.Problem)
            {
                base.Dispose();
                throw new ArgumentException($"The labels are for {rows.Problem}, the model is for {model.ProblemOf(training.Problem)}.", nameof(training));
            }
        model.DropoutGenerator = Generator;
        if (model.Config.Problem is null && training.Problem == ClassificationProblem.MultiLabel)
            warn?.Invoke(
                "the texts have several labels each, and the model's problem_type is open: used later it gives one label a text. Set problem_type "
                + "to multi_label_classification (delora add-head --problem several).");
    }

    /// <inheritdoc cref="FineTuner.Plan"/>
    public static MemoryPlan Plan(
        string folder, Device device, ClassificationRows training, FineTuningOptions options, ClassificationRows? evaluation = null,
        FrozenWeightOptions? frozen = null, bool checkpointing = false) => PlanRun(
            device,
            twin => PretrainedModel.Load(folder, twin, frozen: frozen) switch
            {
                SequenceClassifier classifier => classifier,
                var other => throw NoClassifier(folder, other),
            },
            model => new ClassifierTuner(model, training, options, evaluation), checkpointing);

    private protected override int RowCount => _training.Count;

    private protected override int? EvaluationCount => _evaluation?.Count;

    private protected override BatchExtent[] Extents(bool evaluation) => [.. (evaluation ? _evaluation! : _training).RowExtents()];

    /// <inheritdoc/>
    public override void Dispose()
    {
        Model.DropoutGenerator = _before;
        base.Dispose();
    }

    private protected override ClassificationBatch Take(ReadOnlySpan<int> rows) => _training.Take(rows);

    private protected override Tensor Loss(ClassificationBatch batch) => Model.Loss(batch);

    private protected override int Samples(ClassificationBatch batch) => batch.Inputs.Rows;

    private protected override ClassificationEvaluation Evaluate(IEnumerable<int[]> batches, CancellationToken cancellation) =>
        ClassificationEvaluation.Of(Model, _evaluation!, batches, cancellation);

    private static DeloraFormatException NoClassifier(string folder, PretrainedModel model)
    {
        using (model)
            return new DeloraFormatException(folder, "architectures", $"name {model.Config.Architecture}, which is no classifier of texts.");
    }

    private protected override Dictionary<string, string> DataSettings() => new()
    {
        ["training data"] = _training.Fingerprint,
        ["texts"] = _training.Count.ToString(CultureInfo.InvariantCulture),
        ["problem"] = _training.Problem.ToString(),
    };
}
