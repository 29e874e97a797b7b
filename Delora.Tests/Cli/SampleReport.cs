using Delora.Cli;

namespace Delora.Tests;

/// <summary>A report with every kind of part, with made-up curves.</summary>
internal static class SampleReport
{
    private const int Seeds = 3, Points = 41;

    public static HtmlReport Make(string name = "DeLoRA")
    {
        string[] methods = [name, "LoRA", "Full fine-tuning"];
        return new HtmlReport("Adapting a text classifier", "Summaries of .NET's documentation by namespace family; five families are new.")
            .KeyFigures(("81.4 %", "accuracy on new families"), ("0.4 points", "spread over 3 seeds"), ("0.9 %", "of the parameters trained"))
            .Section("Result")
            .Paragraph("Means over three seeds on held-out text; ± is the standard deviation.")
            .Table(
                "Held-out accuracy",
                ["Method", "Trained parameters", "New families", "Old families", "Seconds"],
                [["Base", "0", "0.0 %", "78.2 %", "–"], [name, "8,212", "81.4 ± 0.4 %", "72.1 ± 0.6 %", "4.2"]])
            .Section("Training")
            .Charts(
                Chart("Training loss", "cross-entropy", Each(methods, (m, t, s) => 0.3 + (0.1 * m) + ((4 - s) * Math.Exp(-5 * t)))),
                Chart("New families", "accuracy, %", Each(methods, (m, t, s) => 82 + m - s - (75 * Math.Exp(-6 * t)))),
                Chart("Old families", "accuracy, %", Each(methods, (m, t, s) => 78 - s - (((25 * m) + 6) * t))),
                Chart("‖ΔW‖ and its bound", "Frobenius norm", [.. Each([name], (_, t, s) => (6 + s) * t), Bound()]));
    }

    private static LineChart Chart(string title, string quantity, IReadOnlyList<ChartSeries> series) =>
        new(title, "step", quantity, series, FromZero: true);

    private static ChartSeries Bound() =>
        new("bound |λ|·max w", 3, [.. Enumerable.Range(0, Points).Select(i => new ChartPoint(10.0 * i, 9 + (i / 100.0)))], Dashed: true);

    /// <summary>A curve of several seeds for each method: <paramref name="value"/> of (method, time in [0, 1], seed).</summary>
    private static ChartSeries[] Each(string[] methods, Func<int, double, int, double> value) =>
        [.. methods.Select((name, method) => ChartSeries.OfRuns(
            name, method, [.. Enumerable.Range(0, Seeds).Select(seed => Run(method, seed, value))]))];

    private static (double X, double Y)[] Run(int method, int seed, Func<int, double, int, double> value) =>
        [.. Enumerable.Range(0, Points).Select(i => (10.0 * i, value(method, i / (Points - 1.0), seed)))];
}
