using System.Globalization;
using System.Text;
using System.Xml;
using System.Xml.Linq;
using CsCheck;
using Delora.Cli;

namespace Delora.Tests;

public sealed class HtmlReportTests
{
    private static XDocument Parse(string html)
    {
        using XmlReader reader = XmlReader.Create(new StringReader(html), new XmlReaderSettings { DtdProcessing = DtdProcessing.Ignore });
        return XDocument.Load(reader);
    }

    [Fact]
    public void DocumentIsWellFormedAndSelfContained()
    {
        string html = SampleReport.Make().ToString();
        Assert.StartsWith("<!DOCTYPE html>\n<html lang=\"en\">", html, StringComparison.Ordinal);
        XDocument document = Parse(html);
        Assert.DoesNotContain("http", html, StringComparison.Ordinal);
        Assert.DoesNotContain(document.Descendants(), e => e.Name.LocalName is "script" or "link" or "img" or "use");
        Assert.Contains("prefers-color-scheme: dark", html, StringComparison.Ordinal);

        // The style sheet must reach an HTML reader unescaped, and only void and drawing elements may be closed within their own tag.
        Assert.DoesNotContain('&', document.Descendants("style").Single().ToString(SaveOptions.DisableFormatting));
        Assert.All(document.Descendants().Where(e => e.IsEmpty), e => Assert.True(e.Name.LocalName is "meta" or "path", e.ToString()));
    }

    [Fact]
    public void SavedReportIsUtf8WithoutMark()
    {
        using TemporaryFolder folder = new();
        string file = folder.Write("r.html", "old");
        HtmlReport report = new("ΔW", "lead");
        report.Save(file);
        Assert.Equal(Encoding.UTF8.GetBytes(report.ToString()), File.ReadAllBytes(file));
    }

    [Fact]
    public void EveryChartIsNamedDescribedAndHasALegend()
    {
        XDocument document = Parse(SampleReport.Make().ToString());
        XElement[] figures = [.. document.Descendants("figure")];
        Assert.Equal(4, figures.Length);
        string[] ids = [.. document.Descendants().Attributes("id").Select(x => x.Value)];
        Assert.Equal(ids.Length, ids.Distinct().Count());
        Assert.All(figures, figure =>
        {
            XElement chart = figure.Elements("svg").Single();
            Assert.Equal("img", (string?)chart.Attribute("role"));
            Assert.All(((string)chart.Attribute("aria-labelledby")!).Split(' '), id => Assert.Contains(id, ids));
            Assert.Equal(
                chart.Elements("g").Select(g => (string?)g.Element("title")),
                figure.Elements("ul").Single().Elements("li").Select(li => (string?)li.Element("span")));
        });
    }

    [Fact]
    public void TextIsEscapedAndUnprintablesAreReplaced()
    {
        const string hostile = "<script>alert(\"1\" & '2')</script>]]>";
        string html = SampleReport.Make(hostile + "\0\u0001\ud800 😀").ToString();
        Assert.DoesNotContain("<script", html, StringComparison.OrdinalIgnoreCase);
        Assert.Contains(Parse(html).Descendants("th"), th => th.Value == hostile + "\ufffd\ufffd\ufffd 😀");
    }

    [Fact]
    public void AnyTextGivesADocument() => Gen.String.Sample(text =>
    {
        string html = new HtmlReport(text, text).Section(text).Paragraph(text).Table(text, ["a", text], [[text, ""]]).ToString();
        Assert.NotNull(Parse(html).Root);
    });

    [Fact]
    public void CurvesRunWhereTheirValuesAre()
    {
        LineChart chart = new("t", "x", "y", [new ChartSeries("s", 0, [new(0, 0), new(50, 10), new(100, 5)])]);
        string path = (string)SvgLineChart.Draw(chart, "c").Elements("g").Elements("path").First().Attribute("d")!;
        string[] words = path.Split((char[])['M', 'L', ' '], StringSplitOptions.RemoveEmptyEntries);
        IEnumerable<double> numbers = words.Select(x => double.Parse(x, CultureInfo.InvariantCulture));
        Assert.Equal([64, 272, 338, 12, 612, 142], numbers);
    }

    [Fact]
    public void NonFinitePointsInterruptTheLine()
    {
        ChartPoint[] points = [new(0, 1), new(1, 2), new(2, double.NaN), new(3, double.PositiveInfinity), new(4, 3)];
        LineChart chart = new("t", "x", "y", [new ChartSeries("s", 0, points)]);
        XElement drawing = SvgLineChart.Draw(chart, "c");
        string path = (string)drawing.Elements("g").Elements("path").First().Attribute("d")!;
        Assert.Equal(2, path.Count(c => c == 'M'));
        Assert.DoesNotContain("NaN", drawing.ToString(), StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => SvgLineChart.Draw(chart with { Series = [new ChartSeries("s", 0, [])] }, "c"));
    }

    [Fact]
    public void RunsBecomeMeanAndExtremes()
    {
        ChartSeries series = ChartSeries.OfRuns("s", 0, [[(0, 1), (1, 5)], [(0, 2), (1, 3)], [(0, 6), (1, 1)]]);
        Assert.Equal([new ChartPoint(0, 3, 1, 6), new ChartPoint(1, 3, 1, 5)], series.Points);
        Assert.Throws<ArgumentException>(() => ChartSeries.OfRuns("s", 0, [[(0, 1)], [(1, 1)]]));
        Assert.Throws<ArgumentException>(() => ChartSeries.OfRuns("s", 0, []));
        Assert.Equal([(0.5, 2), (2.5, 6)], ChartSeries.Smooth([(0, 1), (1, 3), (2, 5), (3, 7)], 2));
        Assert.Equal([(0, 1), (1, 3)], ChartSeries.Smooth([(0, 1), (1, 3)], 9));
        Assert.Empty(ChartSeries.Smooth([], 9));
    }

    [Theory]
    [InlineData(0, 100, 5, "0 20 40 60 80 100")]
    [InlineData(0, 1, 5, "0.0 0.2 0.4 0.6 0.8 1.0")]
    [InlineData(0.31, 4.3, 5, "0 1 2 3 4 5")]
    [InlineData(-3, 3, 5, "-4 -2 0 2 4")]
    [InlineData(0, 23_000, 5, "0 5,000 10,000 15,000 20,000 25,000")]
    [InlineData(0, 3e-6, 3, "0 1e-6 2e-6 3e-6")]
    [InlineData(7, 7, 4, "6.0 6.5 7.0 7.5 8.0")]
    [InlineData(0, 0, 4, "-0.5 0.0 0.5")]
    public void TicksAreRoundNumbers(double low, double high, int count, string labels)
    {
        NiceScale scale = NiceScale.Around(low, high, count);
        Assert.Equal(labels, string.Join(' ', scale.Ticks.Select(scale.Label)));
    }

    [Fact]
    public void ScaleEnclosesAnyValues() =>
        Gen.Select(Gen.Double[-1e12, 1e12], Gen.Double[0, 1e12], Gen.Int[1, 10]).Sample((low, size, count) =>
        {
            NiceScale scale = NiceScale.Around(low, low + size, count);
            double slack = (scale.High - scale.Low) * 1e-6;
            Assert.True(scale.Low <= low + slack && scale.High >= low + size - slack);
            Assert.InRange(scale.Ticks.Count, 2, (2 * count) + 3);
        });

    [Theory]
    [InlineData(double.NaN, 1)]
    [InlineData(0, double.PositiveInfinity)]
    [InlineData(1, 0)]
    public void ScaleRefusesWhatIsNoRange(double low, double high) =>
        Assert.Throws<ArgumentException>(() => NiceScale.Around(low, high, 5));
}
