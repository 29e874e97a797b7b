using System.Globalization;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>What the fine-tunings of encoders with a head have in common.</summary>
/// <remarks>
/// A batch is as long as the longest of its texts, on a CUDA card a little longer where that saves a recording. Dropout of the model takes its masks from
/// the run's random numbers. Between the making and the disposal the model carries the adapter; the model itself stays the caller's.
/// </remarks>
/// <typeparam name="TModel">The base model.</typeparam>
/// <typeparam name="TBatch">What its loss is computed from.</typeparam>
/// <typeparam name="TEvaluation">What an evaluation finds.</typeparam>
public abstract class EncoderTuner<TModel, TBatch, TEvaluation> : FineTuner<TModel, TBatch, TEvaluation> where TModel : EncoderModel
{
    private readonly EncodedRows _training;
    private readonly EncodedRows? _evaluation;
    private readonly Generator _before;

    private protected EncoderTuner(
        TModel model, EncodedRows training, FineTuningOptions options, EncodedRows? evaluation, Action<string>? warn) : base(model, options, warn)
    {
        (_training, _evaluation, _before) = (training, evaluation, model.DropoutGenerator);
        model.DropoutGenerator = Generator;
    }

    private protected override int RowCount => _training.Count;

    private protected override int? EvaluationCount => _evaluation?.Count;

    private protected override int LengthOf(int longest) => BatchLengths.On(Model.Device, longest, Model.Config.MaxTokens);

    private protected override BatchExtent[] Extents(bool evaluation) => [.. (evaluation ? _evaluation! : _training).RowExtents()];

    /// <inheritdoc/>
    public override void Dispose()
    {
        Model.DropoutGenerator = _before;
        base.Dispose();
    }

    /// <summary>Loads the model of a plan.</summary>
    /// <exception cref="DeloraFormatException">The folder holds another model.</exception>
    private protected static TModel Load(string folder, Device device, FrozenWeightOptions? frozen)
    {
        PretrainedModel model = PretrainedModel.Load(folder, device, frozen: frozen);
        if (model is TModel wanted) return wanted;
        using (model)
            throw new DeloraFormatException(folder, "architectures", $"name {model.Config.Architecture}, which is no {typeof(TModel).Name}.");
    }

    private protected override Dictionary<string, string> DataSettings() => new()
    {
        ["training data"] = _training.Fingerprint,
        ["texts"] = _training.Count.ToString(CultureInfo.InvariantCulture),
    };
}
