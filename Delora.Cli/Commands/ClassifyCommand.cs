using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Delora.Nn;

namespace Delora.Cli;

/// <summary><c>delora classify</c>: the labels of texts, with their probabilities.</summary>
internal static class ClassifyCommand
{
    public static Command Create(CliConsole console)
    {
        Option<string?> model = ModelOptions.Model(), adapter = ModelOptions.Adapter();
        TextInputs inputs = new();
        Option<int?> top = ValueOptions.CountOrNone("--top", "Show the N most likely labels only. [default: all]");
        Option<bool> json = new("--json") { Description = "Write [{\"label\": …, \"score\": …}, …] for each text, as transformers' pipelines do." };
        Option<int?> length = ModelOptions.Length();
        Option<int> batch = ModelOptions.Batch();
        Option<string> device = ValueOptions.Device();
        Command command = new("classify", "Labels texts with a classifier, and an adapter where one is named: a line for each text.") { model, adapter };
        inputs.AddTo(command);
        foreach (Option option in (Option[])[top, json, length, batch, device])
            command.Add(option);
        command.SetAction((parsed, stop) => Task.Run(
            () =>
            {
                IReadOnlyList<(string Text, string? Pair)> texts = inputs.Read(parsed, console);
                ModelFolder folder = ModelFolder.Open(console, parsed.GetRequiredValue(model)!);
                int most = folder.LengthOf(parsed.GetValue(length));
                using SequenceClassifier classifier = folder.LoadClassifier(SelectedDevice.Open(parsed.GetRequiredValue(device)));
                using PeftModel? peft = parsed.GetValue(adapter) is { } path ? folder.Adapt(classifier, path) : null;
                foreach ((string Text, string? Pair)[] some in texts.Chunk(parsed.GetRequiredValue(batch)))
                {
                    stop.ThrowIfCancellationRequested();
                    foreach (IReadOnlyList<LabelScore> labels in classifier.Classify(folder.Encode(some, most)))
                    {
                        LabelScore[] shown = [.. labels.Take(parsed.GetValue(top) ?? int.MaxValue)];
                        console.Output.WriteLine(parsed.GetValue(json) ? Json(shown) : Line(shown));
                    }
                }

                return ExitCode.Success;
            },
            stop));
        return command;
    }

    private static string Line(IEnumerable<LabelScore> labels) => string.Join(
        ", ", labels.Select(entry => string.Create(CultureInfo.InvariantCulture, $"{Printable.Line(entry.Label)} {entry.Score:F4}")));

    private static string Json(IEnumerable<LabelScore> labels) =>
        JsonSerializer.Serialize(labels.Select(entry => new { label = entry.Label, score = entry.Score }));
}
