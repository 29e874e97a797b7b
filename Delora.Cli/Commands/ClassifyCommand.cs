using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Delora.Nn;

namespace Delora.Cli;

/// <summary><c>delora classify</c>: the labels of texts or of their words, with their probabilities.</summary>
internal static class ClassifyCommand
{
    public static Command Create(CliConsole console)
    {
        Option<string?> model = ModelOptions.Model();
        Option<string[]> adapters = ModelOptions.Adapters();
        TextInputs inputs = new();
        Option<int?> top = ValueOptions.CountOrNone("--top", "Show the N most likely labels of a text only. [default: all]");
        Option<bool> json = new("--json")
        {
            Description = "Write a JSON line for each text, as transformers' pipelines do: [{\"label\": …, \"score\": …}, …], or for the words "
                + "[{\"entity\": …, \"score\": …, \"word\": …, \"start\": …, \"end\": …}, …].",
        };
        Option<int?> length = ModelOptions.Length();
        Option<int> batch = ModelOptions.Batch();
        Option<string> weights = ModelOptions.Weights(), device = ValueOptions.Device();
        Command command = new(
            "classify",
            "Labels texts with a classifier, and an adapter where one is named: a line for each text. A classifier of tokens labels words, of which every "
            + "sign is one: a line for each (word, label, score, and the Unicode characters of the text from which on and up to which it stands, "
            + "with tabs between), and an empty line after each text.")
        {
            model, adapters,
        };
        inputs.AddTo(command);
        foreach (Option option in (Option[])[top, json, length, batch, weights, device])
            command.Add(option);
        command.SetAction((parsed, stop) => Task.Run(
            () =>
            {
                ModelFolder folder = ModelFolder.Open(console, parsed.GetRequiredValue(model)!);
                int most = folder.LengthOf(parsed.GetValue(length));
                if (folder.LabelsTokens && parsed.GetValue(top) is not null)
                    throw new InputException("--top belongs to classifiers of texts; of a word the most likely label is shown");
                int size = parsed.GetRequiredValue(batch);
                // Named before the model is loaded: what is wrong with the texts is said at once.
                IEnumerable<TextWords[]>? words = folder.LabelsTokens ? inputs.ReadWords(parsed, console).Chunk(size) : null;
                IEnumerable<(string Text, string? Pair)[]>? texts = words is null ? inputs.Read(parsed, console).Chunk(size) : null;
                using EncoderModel classifier = folder.LoadClassifier(
                    SelectedDevice.Open(parsed.GetRequiredValue(device)), ModelOptions.Frozen(parsed.GetRequiredValue(weights)));
                using PeftModel? peft = parsed.GetValue(adapters) is { Length: > 0 } paths ? folder.Adapt(classifier, paths) : null;
                bool asJson = parsed.GetValue(json);
                foreach (string line in words?.SelectMany(some => WordLabels.Lines(console, folder, (TokenClassifier)classifier, some, most, asJson))
                    ?? texts!.SelectMany(some => Lines((SequenceClassifier)classifier, folder, some, most, parsed.GetValue(top), asJson)))
                {
                    stop.ThrowIfCancellationRequested();
                    console.Output.WriteLine(line);
                }

                return ExitCode.Success;
            },
            stop));
        return command;
    }

    private static IEnumerable<string> Lines(
        SequenceClassifier classifier, ModelFolder folder, (string Text, string? Pair)[] texts, int length, int? top, bool json) =>
        classifier.Classify(folder.Encode(texts, length))
            .Select(labels => labels.Take(top ?? int.MaxValue))
            .Select(labels => json ? Json(labels) : Line(labels));

    private static string Line(IEnumerable<LabelScore> labels) => string.Join(
        ", ", labels.Select(entry => string.Create(CultureInfo.InvariantCulture, $"{Printable.Line(entry.Label)} {entry.Score:F4}")));

    private static string Json(IEnumerable<LabelScore> labels) =>
        JsonSerializer.Serialize(labels.Select(entry => new { label = entry.Label, score = entry.Score }));
}
