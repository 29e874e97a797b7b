using System.Globalization;
using Delora.Core;
using Delora.Nn;
using Spectre.Console;

namespace Delora.Cli;

/// <summary>What all demos show, and how they end.</summary>
internal static class DemoOutput
{
    /// <summary>A table whose first column names the row; the others are numbers.</summary>
    public static void Table(CliConsole console, IReadOnlyList<string> columns, IReadOnlyList<IReadOnlyList<string>> rows)
    {
        Table table = new() { Border = TableBorder.Simple };
        foreach ((int i, string column) in columns.Index())
            table.AddColumn(new TableColumn(new Text(column)) { Alignment = i == 0 ? Justify.Left : Justify.Right });
        foreach (IReadOnlyList<string> row in rows)
            table.AddRow(row.Select(cell => new Text(cell)));
        console.Ansi.Write(table);
    }

    /// <summary>What was checked, and what came out.</summary>
    public static void Checks(CliConsole console, IReadOnlyList<DemoCheck> checks)
    {
        console.Output.WriteLine("DeLoRA, checked:");
        foreach (DemoCheck check in checks)
            console.Output.WriteLine($"{(check.Passed ? "ok    " : "FAILED")} {check.Claim}: {check.Detail}");
    }

    /// <summary>A line with invariant numbers.</summary>
    public static void Line(CliConsole console, FormattableString text) =>
        console.Output.WriteLine(text.ToString(CultureInfo.InvariantCulture));

    /// <summary>Fails the run where a check failed.</summary>
    /// <exception cref="DeloraException">Names the first.</exception>
    public static void Require(IReadOnlyList<DemoCheck> checks)
    {
        if (checks.FirstOrDefault(check => !check.Passed) is { } failed)
            throw new DeloraException($"check failed: {failed.Claim} ({failed.Detail})");
    }

    /// <summary>A key of its own for each use of random numbers.</summary>
    public static ulong Key(ulong seed, string use) => StableHash.Mix(seed ^ StableHash.Of(use));
}
