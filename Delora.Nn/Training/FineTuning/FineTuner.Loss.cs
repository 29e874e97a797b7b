using Delora.Core;

namespace Delora.Nn;

// The loss as a trainer takes it: as a whole, and in the two parts that can be recorded.
public abstract partial class FineTuner<TModel, TBatch, TEvaluation>
{
    /// <summary>The loss with all adapters folded at once.</summary>
    private Tensor FoldedLoss(IReadOnlyList<Tensor> inputs)
    {
        using IDisposable ahead = Peft.FoldAhead();
        return Loss(inputs);
    }

    /// <summary>Trains on batches. Their loss can be recorded.</summary>
    private Trainer<TBatch> MakeTrainer(Action<string>? warn) =>
        new(_optimizer, batch => FoldedLoss([.. Inputs(batch).Select(input => input.On(Model.Device))]), Samples)
        {
            Recordable = new RecordableLoss<TBatch>(Inputs, FoldedLoss, _generator),
            Warn = warn,
        };
}
