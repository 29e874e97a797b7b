using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>How well entities are found: all their words and their kind must be right.</summary>
/// <param name="Precision">Share of the entities found that are right; 0 where none was found.</param>
/// <param name="Recall">Share of the entities there that were found; 0 where there is none.</param>
public readonly record struct EntityScore(double Precision, double Recall)
{
    /// <summary>2·P·R / (P + R); 0 where both are 0.</summary>
    public double F1 => Precision + Recall == 0 ? 0 : 2 * Precision * Recall / (Precision + Recall);
}

/// <summary>How well a classifier labels the words of texts.</summary>
/// <param name="Loss">Mean cross-entropy of a word, in nats.</param>
/// <param name="Words">Words that were labelled: each counts once, at its first token.</param>
/// <param name="Accuracy">Share of words with the right label.</param>
/// <param name="MacroF1">The mean over the labels that occur or were given of F1 over words; see <see cref="ClassificationEvaluation.MacroF1"/>.</param>
/// <param name="Entities">
/// Over all entities of all kinds (micro average), where labels have the form <c>B-</c>, <c>I-</c>, <c>O</c>: what transformers' example
/// reports, by seqeval. Null for other labels.
/// </param>
public sealed record TokenClassificationEvaluation(double Loss, int Words, double Accuracy, double MacroF1, EntityScore? Entities)
{
    /// <summary>Evaluates a model on all texts. The model's mode is put back afterwards.</summary>
    /// <param name="model">The model, with its active adapters.</param>
    /// <param name="rows">Texts and labels.</param>
    /// <param name="batchSize">Texts that are computed at once.</param>
    /// <param name="cancellation">Ends the evaluation between two batches.</param>
    public static TokenClassificationEvaluation Of(
        TokenClassifier model, TokenClassificationRows rows, int batchSize, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        return Of(model, rows, Enumerable.Range(0, rows.Count).Chunk(batchSize), cancellation);
    }

    /// <summary>The same over given batches of texts, which are all of them.</summary>
    internal static TokenClassificationEvaluation Of(
        TokenClassifier model, TokenClassificationRows rows, IEnumerable<int[]> batches, CancellationToken cancellation)
    {
        bool training = model.IsTraining;
        model.Train(false);
        try
        {
            (double sum, int words) = (0, 0);
            var counts = new LabelCounts(model.Config.LabelCount);
            var entities = new EntityCounts(model.Config.Labels);
            foreach (int[] numbers in batches)
            {
                cancellation.ThrowIfCancellationRequested();
                TokenClassificationBatch batch = rows.Take(numbers);
                using IDisposable pause = Tape.Pause();
                Tensor logits = model.Forward(batch.Inputs);
                int counted = batch.Labels.Count(label => label != CrossEntropyKernel.IgnoreIndex);
                sum += model.LossOf(logits, batch).ToScalar() * counted;
                words += counted;
                foreach ((int[] given, int[] wanted) in Answers(logits.ToArray<double>(), batch, model.Config.LabelCount))
                {
                    for (int i = 0; i < given.Length; i++) counts.Add(given[i], wanted[i]);
                    entities.Add(given, wanted);
                }
            }
            return new TokenClassificationEvaluation(
                sum / words, words, counts.Accuracy, counts.MacroF1(occurringOnly: true),
                EntitySpans.AreIn(model.Config.Labels) ? entities.Score : null);
        }
        finally
        {
            model.Train(training);
        }
    }

    /// <summary>For each text the labels of its words, as the model gave them and as they are.</summary>
    private static IEnumerable<(int[] Given, int[] Wanted)> Answers(double[] scores, TokenClassificationBatch batch, int labels)
    {
        int length = batch.Inputs.Length;
        for (int row = 0; row < batch.Inputs.Rows; row++)
        {
            int[] counted = [.. Enumerable.Range(row * length, length).Where(i => batch.Labels[i] != CrossEntropyKernel.IgnoreIndex)];
            yield return (
                [.. counted.Select(i => LabelCounts.Best(scores.AsSpan(i * labels, labels)))], [.. counted.Select(i => batch.Labels[i])]);
        }
    }

    /// <summary>Entities that were found, are there, and both.</summary>
    private sealed class EntityCounts(IReadOnlyList<string> labels)
    {
        private int _found, _there, _right;

        public EntityScore Score => new(_found == 0 ? 0 : (double)_right / _found, _there == 0 ? 0 : (double)_right / _there);

        public void Add(int[] given, int[] wanted)
        {
            HashSet<(int, int, string)> found = Spans(given), there = Spans(wanted);
            _found += found.Count;
            _there += there.Count;
            found.IntersectWith(there);
            _right += found.Count;
        }

        private HashSet<(int, int, string)> Spans(int[] ids) => [.. EntitySpans.Of([.. ids.Select(id => labels[id])])];
    }
}
