using System.Globalization;

namespace Delora.Cli;

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
    ClassifySettings Settings, ulong Seed, SummaryCorpus Corpus, string DeviceName, long NetworkSize, RunRecorder<Scores> Base,
    Scores BaseScores, IReadOnlyList<MethodResult<Scores>> Methods, IReadOnlyList<DemoCheck> Checks, TimeSpan Elapsed)
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

    private IReadOnlyList<string> Row(MethodResult<Scores> method)
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
