namespace Delora.Cli;

/// <summary>What <c>delora demo</c> writes to the console at its end.</summary>
internal static class LanguageSummary
{
    /// <summary>Samples, distances, the table of results, and the checks.</summary>
    public static void Show(CliConsole console, LanguageResult result)
    {
        foreach (Sample sample in result.Samples)
        {
            console.Output.WriteLine($"Prompt:   {Printable.Text(sample.Prompt)}");
            console.Output.WriteLine($"  text:   {Printable.Text(sample.Original)}");
            console.Output.WriteLine($"  base:   {Printable.Text(sample.Before)}");
            console.Output.WriteLine($"  DeLoRA: {Printable.Text(sample.After)}");
        }

        console.Output.WriteLine();
        console.Output.WriteLine("‖ΔW‖_F of every adapted layer, and its bound (DeLoRA, first seed):");
        DemoOutput.Table(console, UpdateTable.Columns(result.Updates), UpdateTable.Rows(result.Updates));
        DemoOutput.Table(console, LanguageResult.Columns, result.Rows);
        DemoOutput.Checks(console, result.Checks);
    }

    /// <summary>Where everything is, how long it took, and what can be done next.</summary>
    public static void ShowNext(CliConsole console, LanguageResult result, OutputFolder output)
    {
        string model = Printable.Word(output.File(LanguageDemo.BaseName)), adapter = Printable.Word(output.File(LanguageDemo.AdapterName));
        string prompt = Printable.Text(result.Samples.Count > 0 ? result.Samples[0].Prompt : "");
        prompt = prompt.Replace("\"", "\\\"", StringComparison.Ordinal);
        console.Output.WriteLine($"Report: {output.File(LanguageDemo.ReportName)}");
        string phases = string.Join(", ", result.Phases.Select(x => FormattableString.Invariant($"{x.Name} {x.Time.TotalSeconds:F0}")));
        DemoOutput.Line(console, $"Time: {result.Elapsed.TotalSeconds:F0} s ({phases})");
        console.Output.WriteLine("Go on with:");
        console.Output.WriteLine($"  delora generate --model {model} --adapter {adapter} --prompt \"{prompt}\"");
        console.Output.WriteLine($"  delora inspect {adapter}");
    }
}
