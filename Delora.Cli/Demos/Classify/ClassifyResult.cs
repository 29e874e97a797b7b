using System.Globalization;

namespace Delora.Cli;

/// <summary>Mean and spread of a figure over several seeds.</summary>
/// <param name="Mean">The mean.</param>
/// <param name="Spread">The sample's standard deviation; null with a single seed.</param>
internal readonly record struct Figure(double Mean, double? Spread)
{
    /// <summary>The figure of several runs.</summary>
    public static Figure Of(IReadOnlyList<double> values)
    {
        double mean = values.Average();
        return new Figure(mean, values.Count < 2 ? null : Math.Sqrt(values.Sum(x => (x - mean) * (x - mean)) / (values.Count - 1)));
    }

    /// <summary>For instance <c>81.4 ± 0.5</c>.</summary>
    public string Text(string format)
    {
        string mean = Mean.ToString(format, CultureInfo.InvariantCulture);
        return Spread is { } spread ? $"{mean} ± {spread.ToString(format, CultureInfo.InvariantCulture)}" : mean;
    }
}

/// <summary>One adaptation.</summary>
/// <param name="Seed">Its seed.</param>
/// <param name="TrainedSize">Number of trained weights.</param>
/// <param name="Before">Held-out scores of the base.</param>
/// <param name="After">Held-out scores at the end.</param>
/// <param name="Record">Its course.</param>
internal sealed record AdaptationRun(ulong Seed, long TrainedSize, Scores Before, Scores After, RunRecorder Record)
{
    /// <summary>Points of accuracy won on the new kind.</summary>
    public double Gain => 100 * (After.New.Accuracy - Before.New.Accuracy);

    /// <summary>Points of accuracy lost on the old kind.</summary>
    public double Forgotten => 100 * (Before.Old.Accuracy - After.Old.Accuracy);
}

/// <summary>All adaptations of one method.</summary>
internal sealed record MethodResult(AdaptationSettings Settings, IReadOnlyList<AdaptationRun> Runs)
{
    public Figure Gain => FigureOf(run => run.Gain);

    public Figure Forgotten => FigureOf(run => run.Forgotten);

    /// <summary>The figure of the runs that <paramref name="value"/> takes from each.</summary>
    public Figure FigureOf(Func<AdaptationRun, double> value) => Figure.Of([.. Runs.Select(value)]);
}

/// <summary>All that <c>demo classify</c> found.</summary>
/// <param name="Settings">Sizes and lengths.</param>
/// <param name="Seed">The user's seed.</param>
/// <param name="Corpus">The texts.</param>
/// <param name="DeviceName">Where it was computed.</param>
/// <param name="NetworkSize">Number of the network's weights.</param>
/// <param name="Base">The base network's training.</param>
/// <param name="BaseScores">Its held-out scores.</param>
/// <param name="Methods">The adaptations.</param>
/// <param name="Checks">What was checked.</param>
/// <param name="Elapsed">Time of the whole.</param>
internal sealed record ClassifyResult(
    ClassifySettings Settings, ulong Seed, SummaryCorpus Corpus, string DeviceName, long NetworkSize, RunRecorder Base, Scores BaseScores,
    IReadOnlyList<MethodResult> Methods, IReadOnlyList<DemoCheck> Checks, TimeSpan Elapsed)
{
    /// <summary>The columns of the table of results.</summary>
    public static IReadOnlyList<string> Columns { get; } =
    [
        "Method", "Trained", "Share", "New, %", "New, loss", "Old, %", "Old, loss", "Gained", "Forgotten",
    ];

    /// <summary>The table of results: the base, then each method.</summary>
    public IReadOnlyList<IReadOnlyList<string>> Rows =>
    [
        [
            "Base", "–", "–", Percent(BaseScores.New.Accuracy), Text(BaseScores.New.Loss), Percent(BaseScores.Old.Accuracy),
            Text(BaseScores.Old.Loss), "–", "–",
        ],
        .. Methods.Select(Row),
    ];

    private IReadOnlyList<string> Row(MethodResult method)
    {
        long size = method.Runs[0].TrainedSize;
        return
        [
            method.Settings.Name,
            size.ToString("N0", CultureInfo.InvariantCulture),
            string.Create(CultureInfo.InvariantCulture, $"{100.0 * size / NetworkSize:F2} %"),
            method.FigureOf(run => 100 * run.After.New.Accuracy).Text("F1"),
            method.FigureOf(run => run.After.New.Loss).Text("F3"),
            method.FigureOf(run => 100 * run.After.Old.Accuracy).Text("F1"),
            method.FigureOf(run => run.After.Old.Loss).Text("F3"),
            method.Gain.Text("F1"),
            method.Forgotten.Text("F1"),
        ];
    }

    private static string Percent(double share) => (100 * share).ToString("F1", CultureInfo.InvariantCulture);

    private static string Text(double loss) => loss.ToString("F3", CultureInfo.InvariantCulture);
}
