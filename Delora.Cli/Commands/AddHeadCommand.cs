using System.CommandLine;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Cli;

/// <summary><c>delora add-head</c>: an encoder with a new classification head, as a model folder of its own.</summary>
internal static class AddHeadCommand
{
    private const string Single = "single", Several = "several", Regression = "regression";
    private const string OfTexts = "sequence-classification", OfTokens = "token-classification";

    public static Command Create(CliConsole console)
    {
        Option<string?> model = ModelOptions.Model();
        Option<string?> labels = new("--labels") { Description = "Names of the labels, with commas between; one for a regression.", HelpName = "NAMES" };
        Option<string?> data = ValueOptions.PathAsGiven("--data", "FILE", "Take the labels that occur in this training file, sorted, instead of --labels.");
        Option<string> task = ValueOptions.Choice("--task", "What is labelled: texts, or the words of texts (named entities).", OfTexts, OfTexts, OfTokens);
        Option<string?> problem = ValueOptions.ChoiceOrNone(
            "--problem", "What the labels are: one a text, several a text, or numbers. [default: regression for one label, else what the data hold]",
            Single, Several, Regression);
        Option<string?> output = ValueOptions.RequiredPath("--out", "FOLDER", "Where the classifier is written: a new or empty folder.");
        Option<long?> shard = ModelOptions.MaxShardSize();
        Option<ulong> seed = ValueOptions.Seed(0);
        Command command = new("add-head", "Puts a new classification head on an encoder (BERT, RoBERTa), to be trained with delora train.")
        {
            model, task, labels, data, problem, output, shard, seed,
        };
        command.SetAction((parsed, stop) => Task.Run(
            () =>
            {
                bool tokens = parsed.GetRequiredValue(task) == OfTokens;
                string? kind = parsed.GetValue(problem);
                if (tokens && kind is not null)
                    throw new InputException($"--problem belongs to --task {OfTexts}: a word has one label");
                string[] names = Names(parsed.GetValue(labels), parsed.GetValue(data), tokens, kind == Several);
                string path = parsed.GetRequiredValue(model)!;
                Generator generator = new(parsed.GetRequiredValue(seed));
                return Write(
                    console, path, names, parsed.GetRequiredValue(output)!, parsed.GetValue(shard) ?? PretrainedModel.DefaultMaxShardBytes,
                    () => tokens
                        ? TokenClassifier.FromEncoder(path, Devices.Cpu, names, generator, console.Warn, strict: true)
                        : SequenceClassifier.FromEncoder(path, Devices.Cpu, names, generator, ProblemOf(kind), console.Warn, strict: true));
            },
            stop));
        return command;
    }

    private static string[] Names(string? labels, string? data, bool tokens, bool several)
    {
        if (labels is null == data is null)
            throw new InputException("either --labels or --data is wanted");
        string[] names = labels is null ? [.. tokens ? TokenClassificationData.LabelNames(data!) : ClassificationData.LabelNames(data!, several)]
            : labels.Split(',', StringSplitOptions.TrimEntries);
        if (names.FirstOrDefault(name => name.Length == 0 || names.Count(other => other == name) > 1) is { } wrong)
            throw new InputException($"--labels: '{wrong}' is {(wrong.Length == 0 ? "empty" : "there twice")}");
        return names;
    }

    private static ClassificationProblem? ProblemOf(string? name) => name switch
    {
        Single => ClassificationProblem.SingleLabel,
        Several => ClassificationProblem.MultiLabel,
        Regression => ClassificationProblem.Regression,
        _ => null,
    };

    private static int Write(
        CliConsole console, string model, string[] labels, string output, long maxShardBytes, Func<EncoderModel> make)
    {
        if (ModelFolder.IsSame(model, output))
            throw new InputException($"--out '{output}': is the model's folder; another one is wanted");
        using OutputFolder folder = OutputFolder.Open(output);
        if (!folder.IsEmpty)
            throw new InputException($"--out '{output}': is not empty");
        using EncoderModel classifier = make();
        CompanionFiles.Copy(model, folder.Path);
        classifier.Save(folder.Path, maxShardBytes: maxShardBytes);
        console.Output.WriteLine($"Encoder: {model}, {ModelFolder.Describe(classifier.Config)}");
        console.Output.WriteLine($"Labels: {Printable.Line(string.Join(", ", labels))}");
        console.Output.WriteLine($"Classifier: {folder.Path}");
        return ExitCode.Success;
    }
}
