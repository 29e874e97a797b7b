using System.Text;
using System.Xml;
using System.Xml.Linq;
using Delora.Core;

namespace Delora.Cli;

/// <summary>
/// A report as one HTML file that needs nothing else: no script, no font, no address. Light or dark as the reader's system is. The text is
/// well-formed XML, too.
/// </summary>
internal sealed class HtmlReport
{
    private readonly XElement _main = new("main");
    private readonly string _title;
    private XElement _section;
    private int _charts;

    public HtmlReport(string title, string lead)
    {
        _title = Clean(title);
        _section = _main;
        _main.Add(new XElement("header", new XElement("h1", _title), new XElement("p", new XAttribute("class", "lead"), Clean(lead))));
    }

    /// <summary>Begins a section; what is added next belongs to it.</summary>
    public HtmlReport Section(string heading)
    {
        _section = new XElement("section", new XElement("h2", Clean(heading)));
        _main.Add(_section);
        return this;
    }

    public HtmlReport Paragraph(string text)
    {
        _section.Add(new XElement("p", Clean(text)));
        return this;
    }

    /// <summary>A few numbers that say the most, each with what it is.</summary>
    public HtmlReport KeyFigures(params ReadOnlySpan<(string Value, string Meaning)> figures)
    {
        XElement list = new("dl", new XAttribute("class", "figures"));
        foreach ((string value, string meaning) in figures)
            list.Add(new XElement("div", new XElement("dt", Clean(meaning)), new XElement("dd", Clean(value))));
        _section.Add(list);
        return this;
    }

    /// <summary>A table whose first column names the row; the others are numbers, aligned to the right.</summary>
    /// <exception cref="ArgumentException">A row has not as many cells as there are columns.</exception>
    public HtmlReport Table(string caption, IReadOnlyList<string> columns, IReadOnlyList<IReadOnlyList<string>> rows)
    {
        foreach (IReadOnlyList<string> row in rows)
        {
            if (row.Count != columns.Count)
                throw new ArgumentException($"'{caption}': a row of {row.Count} cells in a table of {columns.Count} columns", nameof(rows));
        }

        _section.Add(new XElement(
            "div",
            new XAttribute("class", "scroll"),
            new XElement(
                "table",
                new XElement("caption", Clean(caption)),
                new XElement("thead", new XElement("tr", columns.Select(column => HeaderCell("col", column)))),
                new XElement("tbody", rows.Select(row => new XElement(
                    "tr", row.Select((cell, i) => i == 0 ? HeaderCell("row", cell) : new XElement("td", Clean(cell)))))))));
        return this;

        static XElement HeaderCell(string scope, string text) => new("th", new XAttribute("scope", scope), Clean(text));
    }

    /// <summary>Charts side by side where there is room, each with title and legend.</summary>
    public HtmlReport Charts(params IReadOnlyList<LineChart> charts)
    {
        _section.Add(new XElement("div", new XAttribute("class", "charts"), charts.Select(chart => new XElement(
            "figure",
            new XElement("figcaption", Clean(chart.Title)),
            new XElement("ul", new XAttribute("class", "legend"), chart.Series.Select(
                s => new XElement("li", SvgLineChart.Key(s), new XElement("span", Clean(s.Name))))),
            SvgLineChart.Draw(chart, $"chart{++_charts}")))));
        return this;
    }

    /// <summary>Writes the document as UTF-8; an old file of that name is replaced as a whole or stays as it was.</summary>
    /// <exception cref="DeloraException">The system refused to write.</exception>
    public void Save(string path) => AtomicFile.Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(ToString())));

    /// <summary>The whole document.</summary>
    public override string ToString()
    {
        XElement html = new(
            "html",
            new XAttribute("lang", "en"),
            new XElement(
                "head",
                new XElement("meta", new XAttribute("charset", "utf-8")),
                new XElement("meta", new XAttribute("name", "viewport"), new XAttribute("content", "width=device-width, initial-scale=1")),
                new XElement("meta", new XAttribute("name", "color-scheme"), new XAttribute("content", "light dark")),
                new XElement("title", _title),
                new XElement("style", ReportStyle.Css)),
            new XElement("body", _main));

        // HTML has no empty-element tags but for the void elements: <td/> would open a cell and never close it.
        foreach (XElement element in html.Descendants().Where(e => e.IsEmpty && e.Name.LocalName is not ("meta" or "path")))
            element.Value = "";
        StringBuilder text = new("<!DOCTYPE html>\n");
        XmlWriterSettings settings = new() { OmitXmlDeclaration = true, Indent = true, NewLineChars = "\n" };
        using (XmlWriter writer = XmlWriter.Create(text, settings))
            html.Save(writer);
        return text.Append('\n').ToString();
    }

    /// <summary>Text without the characters that neither XML nor HTML can hold.</summary>
    internal static string Clean(string text)
    {
        StringBuilder result = new(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
            result.Append(rune.Value < 0x10000 && !XmlConvert.IsXmlChar((char)rune.Value) ? Rune.ReplacementChar : rune);
        return result.ToString();
    }
}
