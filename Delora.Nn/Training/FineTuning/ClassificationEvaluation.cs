using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>How well a classifier labels texts.</summary>
/// <param name="Loss">Mean loss of a text: cross-entropy in nats, binary cross-entropy of a label, or squared error.</param>
/// <param name="Texts">Texts that were labelled.</param>
/// <param name="Accuracy">Share of texts with the right label, or with several labels a text all of them right; null for a regression.</param>
/// <param name="MacroF1">
/// The mean over labels of F1 = 2·tp / (2·tp + fp + fn), 0 where a label was never right; for a single label a text over the labels that
/// occur or were given, as scikit-learn's <c>f1_score(average="macro")</c> has it. Null for a regression.
/// </param>
public sealed record ClassificationEvaluation(double Loss, int Texts, double? Accuracy, double? MacroF1)
{
    /// <summary>Evaluates a model on all texts. The model's mode is put back afterwards.</summary>
    /// <param name="model">The model, with its active adapters.</param>
    /// <param name="rows">Texts and labels.</param>
    /// <param name="batchSize">Texts that are computed at once.</param>
    /// <param name="cancellation">Ends the evaluation between two batches.</param>
    public static ClassificationEvaluation Of(
        SequenceClassifier model, ClassificationRows rows, int batchSize, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        return Of(model, rows, Enumerable.Range(0, rows.Count).Chunk(batchSize), cancellation);
    }

    /// <summary>The same over given batches of texts, which are all of them.</summary>
    internal static ClassificationEvaluation Of(
        SequenceClassifier model, ClassificationRows rows, IEnumerable<int[]> batches, CancellationToken cancellation)
    {
        bool training = model.IsTraining;
        model.Train(false);
        try
        {
            double sum = 0;
            var counts = new LabelCounts(model.Config.LabelCount);
            foreach (int[] numbers in batches)
            {
                cancellation.ThrowIfCancellationRequested();
                ClassificationBatch batch = rows.Take(numbers);
                using IDisposable pause = Tape.Pause();
                Tensor logits = model.Forward(batch.Inputs);
                sum += model.LossOf(logits, batch).ToScalar() * numbers.Length;
                if (rows.Problem != ClassificationProblem.Regression) Count(counts, logits.ToArray<double>(), batch);
            }
            bool single = rows.Problem == ClassificationProblem.SingleLabel;
            return rows.Problem == ClassificationProblem.Regression
                ? new ClassificationEvaluation(sum / rows.Count, rows.Count, null, null)
                : new ClassificationEvaluation(sum / rows.Count, rows.Count, counts.Accuracy, counts.MacroF1(occurringOnly: single));
        }
        finally
        {
            model.Train(training);
        }
    }

    private static void Count(LabelCounts counts, double[] scores, ClassificationBatch batch)
    {
        int labels = scores.Length / batch.Inputs.Rows;
        for (int row = 0; row < batch.Inputs.Rows; row++)
        {
            int start = row * labels;
            if (batch.Labels is { } wanted) counts.Add(LabelCounts.Best(scores.AsSpan(start, labels)), wanted[row]);
            // A probability above one half is a score above 0.
            else counts.Add(label => scores[start + label] > 0, label => batch.Targets![start + label] != 0);
        }
    }
}
