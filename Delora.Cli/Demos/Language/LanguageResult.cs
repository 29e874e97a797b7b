using System.Globalization;

namespace Delora.Cli;

/// <summary>A held-out text, its first words continued by the base and by the adapted model.</summary>
internal sealed record Sample(string Prompt, string Original, string Before, string After);

/// <summary>All that <c>delora demo</c> found.</summary>
/// <param name="Settings">Sizes and lengths.</param>
/// <param name="Seed">The user's seed.</param>
/// <param name="Corpus">The texts.</param>
/// <param name="DeviceName">Where it was computed.</param>
/// <param name="Size">Number of the model's weights.</param>
/// <param name="Base">The base model's training.</param>
/// <param name="BaseWasKept">Whether an earlier run trained it.</param>
/// <param name="BaseScores">Its held-out scores.</param>
/// <param name="Methods">The adaptations.</param>
/// <param name="Samples">Texts.</param>
/// <param name="Checks">What was checked.</param>
/// <param name="Phases">What was done, and how long it took.</param>
internal sealed record LanguageResult(
    LanguageSettings Settings, ulong Seed, LanguageCorpus Corpus, string DeviceName, long Size, BaseRecord Base, bool BaseWasKept,
    LanguageScores BaseScores, IReadOnlyList<MethodResult<LanguageScores>> Methods, IReadOnlyList<Sample> Samples,
    IReadOnlyList<DemoCheck> Checks, IReadOnlyList<(string Name, TimeSpan Time)> Phases)
{
    /// <summary>The columns of the table of results.</summary>
    public static IReadOnlyList<string> Columns { get; } =
        ["Method", "Trained", "Share", "New, loss", "New, perplexity", "Old, loss", "Old, perplexity", "Gained", "Forgotten", "Tokens/s"];

    /// <summary>The table of results: the base, then each method.</summary>
    public IReadOnlyList<IReadOnlyList<string>> Rows =>
    [
        [
            "Base", "–", "–", Text(BaseScores.New.Loss, "F3"), Text(BaseScores.New.Perplexity, "F1"), Text(BaseScores.Old.Loss, "F3"),
            Text(BaseScores.Old.Perplexity, "F1"), "–", "–", "–",
        ],
        .. Methods.Select(Row),
    ];

    /// <summary>DeLoRA's runs.</summary>
    public MethodResult<LanguageScores> Delora => Methods.First(x => x.Settings.Method == AdaptationMethod.Delora);

    /// <summary>Where the updates of DeLoRA's first run ended, beside their bounds.</summary>
    public IReadOnlyList<LayerUpdate> Updates => Delora.Runs[0].Record.Updates[^1].Layers;

    /// <summary>Time of the whole.</summary>
    public TimeSpan Elapsed => Phases.Aggregate(TimeSpan.Zero, (sum, x) => sum + x.Time);

    private IReadOnlyList<string> Row(MethodResult<LanguageScores> method)
    {
        long size = method.Runs[0].TrainedSize;
        return
        [
            method.Settings.Name,
            size.ToString("N0", CultureInfo.InvariantCulture),
            string.Create(CultureInfo.InvariantCulture, $"{100.0 * size / Size:F2} %"),
            method.FigureOf(run => run.After.New.Loss).Text("F3"),
            method.FigureOf(run => run.After.New.Perplexity).Text("F1"),
            method.FigureOf(run => run.After.Old.Loss).Text("F3"),
            method.FigureOf(run => run.After.Old.Perplexity).Text("F1"),
            method.Gain.Text("F3"),
            method.Forgotten.Text("F3"),
            Text(method.Runs.Average(run => run.Record.SamplesPerSecond), "N0"),
        ];
    }

    private static string Text(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}

/// <summary>‖ΔW‖_F of every adapted layer beside its bound, a row for each kind of layer and a column for each decoder layer.</summary>
internal static class UpdateTable
{
    /// <summary>The columns.</summary>
    public static IReadOnlyList<string> Columns(IReadOnlyList<LayerUpdate> updates) =>
        ["Layer", .. updates.Select(x => Place(x.Layer)).Distinct().Select(x => $"layer {x}")];

    /// <summary>The rows.</summary>
    public static IReadOnlyList<IReadOnlyList<string>> Rows(IReadOnlyList<LayerUpdate> updates) =>
    [
        .. updates.GroupBy(x => Kind(x.Layer)).Select(group => (IReadOnlyList<string>)[group.Key, .. group.Select(Cell)]),
    ];

    private static string Cell(LayerUpdate update) => string.Create(
        CultureInfo.InvariantCulture, $"{update.Norm:F2} of {update.Bound:F1}");

    /// <summary>Of <c>model.layers.2.self_attn.q_proj</c>: <c>2</c>.</summary>
    private static string Place(string layer) => layer.Split('.')[2];

    /// <summary>Of <c>model.layers.2.self_attn.q_proj</c>: <c>q_proj</c>.</summary>
    private static string Kind(string layer) => layer[(layer.LastIndexOf('.') + 1)..];
}
