using Delora.Autograd;
using Delora.Core;

namespace Delora.Cli;

/// <summary>What a network makes of held-out texts.</summary>
/// <param name="Loss">Mean cross-entropy.</param>
/// <param name="Accuracy">Share of texts whose highest score is that of their family.</param>
internal readonly record struct Score(double Loss, double Accuracy);

/// <summary>Held-out scores of the old and of the new kind.</summary>
internal readonly record struct Scores(Score Old, Score New) : IScores<Scores>
{
    /// <summary>Points of accuracy.</summary>
    public double GainSince(Scores before) => 100 * (New.Accuracy - before.New.Accuracy);

    /// <summary>Points of accuracy.</summary>
    public double ForgottenSince(Scores before) => 100 * (before.Old.Accuracy - Old.Accuracy);

    /// <summary>Evaluates a network on both kinds.</summary>
    public static Scores Of(SummaryNetwork network, SummaryData data, CancellationToken cancellationToken) =>
        new(
            SummaryScores.Score(network, data.OldHeldOut, cancellationToken),
            SummaryScores.Score(network, data.NewHeldOut, cancellationToken));
}

/// <summary>Evaluates networks, batch by batch, without a tape.</summary>
internal static class SummaryScores
{
    private const int BatchSize = 256;

    /// <summary>Loss and accuracy over all texts.</summary>
    public static Score Score(SummaryNetwork network, BagData texts, CancellationToken cancellationToken)
    {
        double loss = 0;
        long right = 0;
        foreach (BagData batch in Batches(texts, cancellationToken))
        {
            using TensorScope scope = new("evaluation");
            using Tensor labels = network.Labels(batch);
            Tensor scores = network.Forward(batch);
            loss += scores.CrossEntropy(labels).ToScalar() * batch.Rows;
            right += scores.Argmax().ToArray<int>().Zip(batch.Labels).Count(pair => pair.First == pair.Second);
        }

        return new Score(loss / texts.Rows, right / (double)texts.Rows);
    }

    /// <summary>The scores of all texts, row after row: as <see cref="double"/>, which holds every device's numbers exactly.</summary>
    public static double[] Logits(SummaryNetwork network, BagData texts, CancellationToken cancellationToken)
    {
        List<double> all = [];
        foreach (BagData batch in Batches(texts, cancellationToken))
        {
            using TensorScope scope = new("evaluation");
            all.AddRange(network.Forward(batch).ToArray<double>());
        }

        return [.. all];
    }

    private static IEnumerable<BagData> Batches(BagData texts, CancellationToken cancellationToken)
    {
        for (int start = 0; start < texts.Rows; start += BatchSize)
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return texts.Slice(start, Math.Min(BatchSize, texts.Rows - start));
        }
    }
}
