namespace Delora.Nn;

/// <summary>A label of a text or token, and how sure the model is of it.</summary>
/// <param name="Label">Its name, from the model's <see cref="EncoderConfig.Labels"/>.</param>
/// <param name="Score">A probability, or for a regression the number itself.</param>
public readonly record struct LabelScore(string Label, double Score)
{
    /// <summary>Puts names to scores, the highest first.</summary>
    internal static Func<double[], IReadOnlyList<LabelScore>> Sorted(EncoderConfig config) =>
        scores => [.. scores.Select((score, label) => new LabelScore(config.Labels[label], score)).OrderByDescending(entry => entry.Score)];
}
