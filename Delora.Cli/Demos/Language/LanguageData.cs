using Delora.Nn;

namespace Delora.Cli;

/// <summary>Held-out loss of the old and of the new kind.</summary>
internal readonly record struct LanguageScores(Evaluation Old, Evaluation New) : IScores<LanguageScores>
{
    /// <summary>Nats of loss.</summary>
    public double GainSince(LanguageScores before) => before.New.Loss - New.Loss;

    /// <summary>Nats of loss.</summary>
    public double ForgottenSince(LanguageScores before) => Old.Loss - before.Old.Loss;

    /// <summary>Evaluates a model on both kinds.</summary>
    public static LanguageScores Of(CausalLanguageModel model, LanguageData data, int batchSize, CancellationToken cancellationToken) =>
        new(
            Evaluation.Of(model, data.OldHeldOut, batchSize, cancellationToken),
            Evaluation.Of(model, data.NewHeldOut, batchSize, cancellationToken));
}

/// <summary>The parts of a <see cref="LanguageCorpus"/> that the adaptation needs, as the model takes them.</summary>
internal sealed record LanguageData(TokenRows NewTraining, TokenRows OldHeldOut, TokenRows NewHeldOut)
{
    /// <summary>The tokens of a corpus.</summary>
    /// <param name="corpus">The texts.</param>
    /// <param name="tokenizer">Encodes them.</param>
    /// <param name="settings">Length and number of rows.</param>
    public static LanguageData Of(LanguageCorpus corpus, TextTokenizer tokenizer, LanguageSettings settings) => new(
        Rows(corpus.NewTraining, tokenizer, settings.Context),
        Rows(corpus.OldHeldOut, tokenizer, settings.Context, settings.EvaluationRows),
        Rows(corpus.NewHeldOut, tokenizer, settings.Context, settings.EvaluationRows));

    /// <summary>Documents one behind the other, cut into rows.</summary>
    /// <param name="documents">The documents.</param>
    /// <param name="tokenizer">Encodes them.</param>
    /// <param name="length">Positions in a row.</param>
    /// <param name="most">Rows at most; the first are taken.</param>
    public static TokenBlocks Rows(IReadOnlyList<Document> documents, TextTokenizer tokenizer, int length, int most = int.MaxValue)
    {
        IEnumerable<int> ids = documents.SelectMany(
            x => tokenizer.EndId is { } end ? tokenizer.Encode(x.Text).Append(end) : tokenizer.Encode(x.Text));
        return new TokenBlocks(ids.Take((int)Math.Min(int.MaxValue, ((long)most * length) + 1)), length);
    }
}
