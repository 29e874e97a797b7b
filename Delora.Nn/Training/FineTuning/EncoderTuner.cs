using System.Globalization;
using Delora.Core;

namespace Delora.Nn;

/// <summary>What the fine-tunings of encoders with a head have in common.</summary>
/// <remarks>
/// A batch is as long as the longest of its texts. Dropout of the model takes its masks from the run's random numbers. Between the making
/// and the disposal the model carries the adapter; the model itself stays the caller's.
/// </remarks>
/// <typeparam name="TModel">The base model.</typeparam>
/// <typeparam name="TBatch">What its loss is computed from.</typeparam>
/// <typeparam name="TEvaluation">What an evaluation finds.</typeparam>
public abstract class EncoderTuner<TModel, TBatch, TEvaluation> : FineTuner<TModel, TBatch, TEvaluation> where TModel : EncoderModel
{
    private readonly EncodedRows _training;
    private readonly Generator _before;

    private protected EncoderTuner(
        TModel model, EncodedRows training, FineTuningOptions options, EncodedRows? evaluation, Action<string>? warn) : base(model, options, warn)
    {
        (_training, HasEvaluation, _before) = (training, evaluation is not null, model.DropoutGenerator);
        model.DropoutGenerator = Generator;
    }

    private protected override int RowCount => _training.Count;

    private protected override bool HasEvaluation { get; }

    /// <inheritdoc/>
    public override void Dispose()
    {
        Model.DropoutGenerator = _before;
        base.Dispose();
    }

    private protected override Dictionary<string, string> DataSettings() => new()
    {
        ["training data"] = _training.Fingerprint,
        ["texts"] = _training.Count.ToString(CultureInfo.InvariantCulture),
    };
}
