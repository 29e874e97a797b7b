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
/// <inheritdoc/>
public sealed class ClassifierTuner : EncoderTuner<SequenceClassifier, ClassificationBatch, ClassificationEvaluation>
{
    private readonly ClassificationRows _training;
    private readonly ClassificationRows? _evaluation;

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
        : base(model, training, options, evaluation, warn)
    {
        (_training, _evaluation) = (training, evaluation);
        foreach (ClassificationRows rows in evaluation is null ? [training] : (ClassificationRows[])[training, evaluation])
            if (model.ProblemOf(rows.Problem) != rows.Problem || rows.Problem != training.Problem)
            {
                Dispose();
                throw new ArgumentException($"The labels are for {rows.Problem}, the model is for {model.ProblemOf(training.Problem)}.", nameof(training));
            }
        if (model.Config.Problem is null && training.Problem == ClassificationProblem.MultiLabel)
            warn?.Invoke(
                "the texts have several labels each, and the model's problem_type is open: used later it gives one label a text. Set problem_type "
                + "to multi_label_classification (delora add-head --problem several).");
    }

    /// <inheritdoc cref="FineTuner.Plan"/>
    public static MemoryPlan Plan(
        string folder, Device device, ClassificationRows training, FineTuningOptions options, ClassificationRows? evaluation = null,
        FrozenWeightOptions? frozen = null, bool checkpointing = false) =>
        PlanRun(device, twin => Load(folder, twin, frozen), model => new ClassifierTuner(model, training, options, evaluation), checkpointing);

    private protected override ClassificationBatch Take(ReadOnlySpan<int> rows) => _training.Take(rows, LengthOf);

    private protected override IReadOnlyList<BatchInput> Inputs(ClassificationBatch batch) => Model.Inputs(batch);

    private protected override Tensor Loss(IReadOnlyList<Tensor> inputs) => Model.Loss(inputs, _training.Problem);

    private protected override int Samples(ClassificationBatch batch) => batch.Inputs.Rows;

    private protected override ClassificationEvaluation Evaluate(IEnumerable<int[]> batches, CancellationToken cancellation) =>
        ClassificationEvaluation.Of(Model, _evaluation!, batches, cancellation);

    private protected override Dictionary<string, string> DataSettings() => new(base.DataSettings()) { ["problem"] = _training.Problem.ToString() };
}
