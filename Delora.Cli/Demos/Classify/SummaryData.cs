namespace Delora.Cli;

/// <summary>The four parts of a <see cref="SummaryCorpus"/> as the network takes them.</summary>
internal sealed record SummaryData(BagData OldTraining, BagData OldHeldOut, BagData NewTraining, BagData NewHeldOut)
{
    /// <summary>The features of a corpus.</summary>
    /// <param name="corpus">The texts.</param>
    /// <param name="buckets">Rows of the embedding table.</param>
    /// <param name="cancellationToken">Asked between the parts.</param>
    public static SummaryData Of(SummaryCorpus corpus, int buckets, CancellationToken cancellationToken)
    {
        TextFeatures features = new(buckets);
        BagData Part(IReadOnlyList<Example> examples)
        {
            cancellationToken.ThrowIfCancellationRequested();
            return BagData.Of(examples, features);
        }

        return new SummaryData(Part(corpus.OldTraining), Part(corpus.OldHeldOut), Part(corpus.NewTraining), Part(corpus.NewHeldOut));
    }
}
