using System.Globalization;

namespace Delora.Cli;

/// <summary>The parts that the reports of all demos have.</summary>
internal static class DemoReport
{
    /// <summary>Points of a curve of single batches.</summary>
    public const int LossPoints = 80;

    /// <summary>The section about the checks.</summary>
    public static void AddChecks(HtmlReport report, IReadOnlyList<DemoCheck> checks)
    {
        report.Section("DeLoRA, checked");
        foreach (DemoCheck check in checks)
            report.Paragraph($"{(check.Passed ? "✓" : "FAILED:")} {Capital(check.Claim)}: {check.Detail}.");
    }

    /// <summary>A held-out score over the steps, a curve for each method.</summary>
    public static LineChart Course<TScores>(
        IReadOnlyList<MethodResult<TScores>> methods, string title, string quantity, Func<TScores, double> value, bool fromZero = true)
        where TScores : IScores<TScores> => new(
            title, "step", quantity,
            [.. methods.Select((method, i) => ChartSeries.OfRuns(
                method.Settings.Name, i,
                [.. method.Runs.Select(run => run.Record.Scores.Select(x => ((double)x.Step, value(x.Scores))).ToArray())]))],
            fromZero);

    /// <summary>One score over another, at each evaluation: means over the seeds.</summary>
    public static LineChart Trade<TScores>(
        IReadOnlyList<MethodResult<TScores>> methods, string title, string xTitle, string yTitle, Func<TScores, double> x,
        Func<TScores, double> y)
        where TScores : IScores<TScores> => new(
            title, xTitle, yTitle,
            [.. methods.Select((method, i) => new ChartSeries(
                method.Settings.Name, i,
                [.. Enumerable.Range(0, method.Runs[0].Record.Scores.Count).Select(at => new ChartPoint(
                    method.Runs.Average(run => x(run.Record.Scores[at].Scores)),
                    method.Runs.Average(run => y(run.Record.Scores[at].Scores))))]))]);

    /// <summary>The loss of the training batches.</summary>
    public static LineChart Losses<TScores>(IReadOnlyList<MethodResult<TScores>> methods, string title, bool fromZero = true)
        where TScores : IScores<TScores> => new(
            title, "step", "cross-entropy",
            [.. methods.Select((method, i) => ChartSeries.OfRuns(
                method.Settings.Name, i, [.. method.Runs.Select(run => ChartSeries.Smooth(run.Record.Losses, LossPoints))]))],
            fromZero);

    /// <summary>A curve that belongs to a layer's distance from the base, or to all, over the steps.</summary>
    public static ChartSeries Distance<TScores>(
        MethodResult<TScores> method, string name, int color, Func<IReadOnlyList<LayerUpdate>, double> value)
        where TScores : IScores<TScores> => ChartSeries.OfRuns(
            name, color, [.. method.Runs.Select(run => run.Record.Updates.Select(x => ((double)x.Step, value(x.Layers))).ToArray())]);

    public static string Capital(string text) => string.Concat(text[..1].ToUpperInvariant(), text.AsSpan(1));

    public static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
