namespace Delora.Cli;

/// <summary>Held-out scores of the old and of the new kind of text.</summary>
internal interface IScores<TSelf>
{
    /// <summary>What was won on the new kind, in the demo's unit.</summary>
    double GainSince(TSelf before);

    /// <summary>What was lost on the old kind, in the demo's unit.</summary>
    double ForgottenSince(TSelf before);
}

/// <summary>One adaptation.</summary>
/// <param name="Seed">Its seed.</param>
/// <param name="TrainedSize">Number of trained weights.</param>
/// <param name="Before">Held-out scores of the base.</param>
/// <param name="After">Held-out scores at the end.</param>
/// <param name="Record">Its course.</param>
internal sealed record AdaptationRun<TScores>(
    ulong Seed, long TrainedSize, TScores Before, TScores After, RunRecorder<TScores> Record)
    where TScores : IScores<TScores>;

/// <summary>All adaptations of one method.</summary>
internal sealed record MethodResult<TScores>(AdaptationSettings Settings, IReadOnlyList<AdaptationRun<TScores>> Runs)
    where TScores : IScores<TScores>
{
    public Figure Gain => FigureOf(run => run.After.GainSince(run.Before));

    public Figure Forgotten => FigureOf(run => run.After.ForgottenSince(run.Before));

    /// <summary>The figure of the runs that <paramref name="value"/> takes from each.</summary>
    public Figure FigureOf(Func<AdaptationRun<TScores>, double> value) => Figure.Of([.. Runs.Select(value)]);
}
