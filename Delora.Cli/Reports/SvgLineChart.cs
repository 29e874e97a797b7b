using System.Globalization;
using System.Text;
using System.Xml.Linq;

namespace Delora.Cli;

/// <summary>
/// Draws a <see cref="LineChart"/> as inline SVG. Colors and fonts come from the style sheet of <see cref="HtmlReport"/>.
/// </summary>
internal static class SvgLineChart
{
    /// <summary>Curves beyond this number take the colors from the start again.</summary>
    public const int Colors = 5;

    private const double Width = 640, Height = 320, Left = 64, Right = 28, Top = 12, Bottom = 48, MarkEvery = 8;

    /// <summary>The drawing without its legend.</summary>
    /// <param name="chart">What to draw.</param>
    /// <param name="id">Unique in the document.</param>
    /// <exception cref="ArgumentException">There is no finite point.</exception>
    public static XElement Draw(LineChart chart, string id)
    {
        ChartPoint[] points = [.. chart.Series.SelectMany(s => s.Points).Where(IsFinite)];
        if (points.Length == 0)
            throw new ArgumentException($"'{chart.Title}' has no finite point", nameof(chart));
        NiceScale x = NiceScale.Around(points.Min(p => p.X), points.Max(p => p.X), 6);
        double low = points.Min(p => p.Low), high = points.Max(p => p.High);
        NiceScale y = chart.FromZero ? NiceScale.Around(Math.Min(0, low), Math.Max(0, high), 5) : NiceScale.Around(low, high, 5);
        Plot plot = new(x, y);

        return new XElement(
            "svg",
            new XAttribute("viewBox", $"0 0 {Number(Width)} {Number(Height)}"),
            new XAttribute("role", "img"),
            new XAttribute("aria-labelledby", $"{id}-title {id}-description"),
            new XElement("title", new XAttribute("id", $"{id}-title"), HtmlReport.Clean(chart.Title)),
            new XElement("desc", new XAttribute("id", $"{id}-description"), HtmlReport.Clean(Description(chart))),
            Axes(chart, plot),
            chart.Series.Select(s => Bands(s, plot)),
            chart.Series.Select((s, i) => Curve(s, plot, i)));
    }

    /// <summary>The sample of line and mark that a legend shows.</summary>
    public static XElement Key(ChartSeries series) => new(
        "svg",
        new XAttribute("viewBox", "0 0 28 12"),
        new XAttribute("class", "key"),
        new XAttribute("aria-hidden", "true"),
        Shape(LineClass(series), "M2 6H26"),
        series.Dashed ? null : Mark(series.Color, 14, 6));

    private static bool IsFinite(ChartPoint p) =>
        double.IsFinite(p.X) && double.IsFinite(p.Y) && double.IsFinite(p.Low) && double.IsFinite(p.High);

    private static string Description(LineChart chart)
    {
        StringBuilder text = new($"{chart.YTitle} over {chart.XTitle}.");
        foreach (ChartSeries series in chart.Series)
        {
            ChartPoint[] finite = [.. series.Points.Where(IsFinite)];
            if (finite.Length > 0)
                text.Append(CultureInfo.InvariantCulture, $" {series.Name}: from {finite[0].Y:G4} to {finite[^1].Y:G4}.");
        }

        return text.ToString();
    }

    private static IEnumerable<XElement> Axes(LineChart chart, Plot plot)
    {
        foreach (double tick in plot.YScale.Ticks)
        {
            string at = Number(plot.Y(tick));
            yield return Shape(tick == plot.YScale.Low ? "axis" : "grid", $"M{Number(Left)} {at}H{Number(Width - Right)}");
            yield return Label(plot.YScale.Label(tick), Left - 8, plot.Y(tick) + 4, "end");
        }

        foreach (double tick in plot.XScale.Ticks)
        {
            yield return Shape("axis", $"M{Number(plot.X(tick))} {Number(Height - Bottom)}v5");
            yield return Label(plot.XScale.Label(tick), plot.X(tick), Height - Bottom + 19, "middle");
        }

        yield return Label(chart.XTitle, (Left + Width - Right) / 2, Height - 8, "middle", "name");
        XElement name = Label(chart.YTitle, 0, 0, "middle", "name");
        name.Add(new XAttribute("transform", $"translate(14 {Number((Top + Height - Bottom) / 2)}) rotate(-90)"));
        yield return name;
    }

    private static XElement Label(string text, double x, double y, string anchor, string style = "tick") => new(
        "text",
        new XAttribute("class", style),
        new XAttribute("x", Number(x)),
        new XAttribute("y", Number(y)),
        new XAttribute("text-anchor", anchor),
        HtmlReport.Clean(text));

    /// <summary>The areas between the extremes of several runs, below all lines.</summary>
    private static IEnumerable<XElement> Bands(ChartSeries series, Plot plot) =>
        from part in Parts(series.Points)
        where part.Exists(p => p.High > p.Low)
        let there = part.Select(p => (p.X, p.High))
        let back = part.AsEnumerable().Reverse().Select(p => (p.X, p.Low))
        select Shape($"band c{series.Color % Colors}", Path(there.Concat(back), plot) + "Z");

    private static XElement Curve(ChartSeries series, Plot plot, int number)
    {
        List<List<ChartPoint>> parts = Parts(series.Points);
        string line = string.Concat(parts.Select(part => Path(part.Select(p => (p.X, p.Y)), plot)));
        XElement group = new("g", new XElement("title", HtmlReport.Clean(series.Name)), Shape(LineClass(series), line));
        if (series.Dashed)
            return group;

        // Marks tell curves apart without color. Shifted from curve to curve, so that they do not cover each other.
        ChartPoint[] all = [.. parts.SelectMany(p => p)];
        int every = (int)Math.Max(1, Math.Ceiling(all.Length / MarkEvery)), first = number * every / Math.Max(1, Colors);
        for (int i = first; i < all.Length; i += every)
            group.Add(Mark(series.Color, plot.X(all[i].X), plot.Y(all[i].Y)));
        return group;
    }

    /// <summary>The stretches of finite points.</summary>
    private static List<List<ChartPoint>> Parts(IReadOnlyList<ChartPoint> points)
    {
        List<List<ChartPoint>> parts = [];
        bool open = false;
        foreach (ChartPoint point in points)
        {
            if (!IsFinite(point))
            {
                open = false;
                continue;
            }

            if (!open)
                parts.Add([]);
            open = true;
            parts[^1].Add(point);
        }

        return parts;
    }

    private static string Path(IEnumerable<(double X, double Y)> points, Plot plot)
    {
        StringBuilder path = new();
        foreach ((double x, double y) in points)
            path.Append(path.Length == 0 ? 'M' : 'L').Append(Number(plot.X(x))).Append(' ').Append(Number(plot.Y(y)));
        return path.ToString();
    }

    private static string LineClass(ChartSeries series) => $"line c{series.Color % Colors}{(series.Dashed ? " limit" : "")}";

    private static XElement Mark(int color, double x, double y)
    {
        string outline = (color % Colors) switch
        {
            0 => "m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z", // circle
            1 => "m-3.2 -3.2h6.4v6.4h-6.4z", // square
            2 => "m0 -4.4l4.2 7.4h-8.4z", // triangle
            3 => "m0 -4.6l4.6 4.6l-4.6 4.6l-4.6 -4.6z", // diamond
            _ => "m0 4.4l4.2 -7.4h-8.4z", // triangle, point down
        };
        return Shape($"mark c{color % Colors}", $"M{Number(x)} {Number(y)}{outline}");
    }

    private static XElement Shape(string style, string path) => new("path", new XAttribute("class", style), new XAttribute("d", path));

    private static string Number(double value) => Math.Round(value, 2).ToString("0.##", CultureInfo.InvariantCulture);

    /// <summary>From values to places in the drawing.</summary>
    private readonly record struct Plot(NiceScale XScale, NiceScale YScale)
    {
        public double X(double value) => Left + ((value - XScale.Low) / (XScale.High - XScale.Low) * (Width - Left - Right));

        public double Y(double value) => Height - Bottom - ((value - YScale.Low) / (YScale.High - YScale.Low) * (Height - Top - Bottom));
    }
}
