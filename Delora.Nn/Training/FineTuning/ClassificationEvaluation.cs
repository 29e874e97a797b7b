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
            var counts = new Counts(model.Config.LabelCount);
            foreach (int[] numbers in batches)
            {
                cancellation.ThrowIfCancellationRequested();
                ClassificationBatch batch = rows.Take(numbers);
                using IDisposable pause = Tape.Pause();
                Tensor logits = model.Forward(batch.Inputs);
                sum += model.LossOf(logits, batch).ToScalar() * numbers.Length;
                if (rows.Problem != ClassificationProblem.Regression) counts.Add(logits.ToArray<double>(), batch);
            }
            bool single = rows.Problem == ClassificationProblem.SingleLabel;
            return rows.Problem == ClassificationProblem.Regression
                ? new ClassificationEvaluation(sum / rows.Count, rows.Count, null, null)
                : new ClassificationEvaluation(sum / rows.Count, rows.Count, (double)counts.Right / rows.Count, counts.MacroF1(occurringOnly: single));
        }
        finally
        {
            model.Train(training);
        }
    }

    /// <summary>Right and wrong answers of each label.</summary>
    private sealed class Counts(int labels)
    {
        private readonly int[] _right = new int[labels], _given = new int[labels], _wanted = new int[labels];

        public int Right { get; private set; }

        public void Add(double[] scores, ClassificationBatch batch)
        {
            for (int row = 0; row < batch.Inputs.Rows; row++)
            {
                ReadOnlySpan<double> s = scores.AsSpan(row * labels, labels);
                int best = 0;
                for (int label = 1; label < labels; label++)
                    if (s[label] > s[best]) best = label;
                bool all = true;
                for (int label = 0; label < labels; label++)
                {
                    // A probability above one half is a score above 0.
                    bool given = batch.Labels is null ? s[label] > 0 : label == best;
                    bool wanted = batch.Labels is { } one ? one[row] == label : batch.Targets![row * labels + label] != 0;
                    if (given) _given[label]++;
                    if (wanted) _wanted[label]++;
                    if (given && wanted) _right[label]++;
                    all &= given == wanted;
                }
                if (all) Right++;
            }
        }

        public double MacroF1(bool occurringOnly)
        {
            double[] scores = [.. Enumerable.Range(0, labels).Where(label => !occurringOnly || _given[label] + _wanted[label] > 0)
                .Select(label => _right[label] == 0 ? 0 : 2.0 * _right[label] / (_given[label] + _wanted[label]))];
            return scores.Average();
        }
    }
}
