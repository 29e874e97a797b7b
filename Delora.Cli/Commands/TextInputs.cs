using System.CommandLine;
using System.Text;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>The options that say which texts an encoder looks at.</summary>
internal sealed class TextInputs
{
    private const string StandardInput = "-";

    private readonly Option<string[]> _texts = new("--text") { Description = "A text; may be given several times.", HelpName = "TEXT" };

    private readonly Option<string?> _pair = new("--pair") { Description = "The second text of a pair, to one --text.", HelpName = "TEXT" };

    private readonly Option<string?> _data = ValueOptions.PathAsGiven(
        "--data", "FILE",
        "Texts in UTF-8: one a line, or .jsonl, .csv, .tsv with text, and text_pair where there are pairs; words to be labelled also .jsonl with tokens. "
        + "- reads standard input, one text a line, and answers after every --batch of them.");

    public void AddTo(Command command)
    {
        command.Add(_texts);
        command.Add(_pair);
        command.Add(_data);
    }

    /// <summary>The texts, in their order; those of standard input as they come.</summary>
    /// <exception cref="InputException">None are named, or in two ways.</exception>
    /// <exception cref="Core.DeloraFormatException">The file cannot be read.</exception>
    public IEnumerable<(string Text, string? Pair)> Read(ParseResult parsed, CliConsole console)
    {
        string[] texts = parsed.GetValue(_texts) ?? [];
        string? pair = parsed.GetValue(_pair), file = parsed.GetValue(_data);
        if (texts.Length == 0 == file is null)
            throw new InputException("either --text or --data is wanted");
        if (pair is not null && texts.Length != 1)
            throw new InputException("--pair is the second text of one --text");
        return file is null ? [.. texts.Select(text => (text, pair))]
            : file == StandardInput ? Lines(console)
            : ClassificationData.LoadTexts(file, console.Warn);
    }

    /// <summary>The texts cut into words.</summary>
    /// <inheritdoc cref="Read"/>
    public IEnumerable<TextWords> ReadWords(ParseResult parsed, CliConsole console)
    {
        if (parsed.GetValue(_pair) is not null)
            throw new InputException("--pair: a classifier of tokens labels one text, no pair");
        return (parsed.GetValue(_texts) ?? []).Length == 0 && parsed.GetValue(_data) is { } file and not StandardInput
            ? TokenClassificationData.LoadTexts(file, console.Warn)
            : Read(parsed, console).Select(text => TextWords.Split(text.Text));
    }

    private static IEnumerable<(string Text, string? Pair)> Lines(CliConsole console)
    {
        using StreamReader reader = new(console.OpenInput(), new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true));
        while (Next() is { } line)
            if (line.Length > 0) yield return (line, null);

        string? Next()
        {
            try
            {
                return reader.ReadLine();
            }
            catch (Exception e) when (e is DecoderFallbackException or IOException)
            {
                throw new InputException($"standard input: {(e is IOException ? $"cannot be read: {e.Message}" : "is not UTF-8")}", e);
            }
        }
    }
}
