using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// Trains an adapter and the head of a classifier of tokens on texts whose words have labels, with evaluations and checkpoints; interrupted at
/// any moment, it goes on from the last checkpoint as if nothing had happened, to the last bit.
/// <code>
/// using TokenClassifier model = TokenClassifier.FromEncoder("bert-base", device, ["B-PER", "I-PER", "O"], new Generator(0));
/// TokenClassificationRows rows = TokenClassificationData.Load("train.jsonl", TextTokenizer.Load("bert-base"), model.Config, length: 128);
/// var options = new FineTuningOptions { Adapter = new DeloraConfig { TaskType = "TOKEN_CLS" }, Steps = 200 };
/// using var tuner = new TokenClassifierTuner(model, rows, options);
/// tuner.Run("my-adapter");                     // the head is saved with the adapter, as PEFT does for TOKEN_CLS
/// </code>
/// </summary>
/// <inheritdoc/>
public sealed class TokenClassifierTuner : EncoderTuner<TokenClassifier, TokenClassificationBatch, TokenClassificationEvaluation>
{
    private readonly TokenClassificationRows _training;
    private readonly TokenClassificationRows? _evaluation;

    /// <summary>Puts a new adapter on the model.</summary>
    /// <param name="model">The base model, without adapters of its own.</param>
    /// <param name="training">What to train on.</param>
    /// <param name="options">How. The adapter trains the head where its <c>task_type</c> is TOKEN_CLS, or where it names it.</param>
    /// <param name="evaluation">What to evaluate on; null for nothing.</param>
    /// <param name="warn">Hears of names in the adapter's configuration that match nothing.</param>
    /// <exception cref="DeloraFormatException">A field of the configuration is wrong, or it targets nothing.</exception>
    /// <exception cref="ArgumentException">An option is outside of its range.</exception>
    public TokenClassifierTuner(
        TokenClassifier model, TokenClassificationRows training, FineTuningOptions options, TokenClassificationRows? evaluation = null,
        Action<string>? warn = null)
        : base(model, training, options, evaluation, warn) => (_training, _evaluation) = (training, evaluation);

    /// <inheritdoc cref="FineTuner.Plan"/>
    public static MemoryPlan Plan(
        string folder, Device device, TokenClassificationRows training, FineTuningOptions options, TokenClassificationRows? evaluation = null,
        FrozenWeightOptions? frozen = null, bool checkpointing = false) =>
        PlanRun(device, twin => Load(folder, twin, frozen), model => new TokenClassifierTuner(model, training, options, evaluation), checkpointing);

    private protected override TokenClassificationBatch Take(ReadOnlySpan<int> rows) => _training.Take(rows, LengthOf);

    private protected override IReadOnlyList<BatchInput> Inputs(TokenClassificationBatch batch) => Model.Inputs(batch);

    private protected override Tensor Loss(IReadOnlyList<Tensor> inputs) => Model.Loss(inputs);

    private protected override int Samples(TokenClassificationBatch batch) => batch.Inputs.Rows;

    private protected override TokenClassificationEvaluation Evaluate(IEnumerable<int[]> batches, CancellationToken cancellation) =>
        TokenClassificationEvaluation.Of(Model, _evaluation!, batches, cancellation);
}
