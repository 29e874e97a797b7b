using System.CommandLine;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>The options that say which texts an encoder looks at.</summary>
internal sealed class TextInputs
{
    private readonly Option<string[]> _texts = new("--text") { Description = "A text; may be given several times.", HelpName = "TEXT" };

    private readonly Option<string?> _pair = new("--pair") { Description = "The second text of a pair, to one --text.", HelpName = "TEXT" };

    private readonly Option<string?> _data = ValueOptions.PathAsGiven(
        "--data", "FILE", "Texts in UTF-8: one a line, or .jsonl, .csv, .tsv with text, and text_pair where there are pairs.");

    public void AddTo(Command command)
    {
        command.Add(_texts);
        command.Add(_pair);
        command.Add(_data);
    }

    /// <summary>The texts, in their order.</summary>
    /// <exception cref="InputException">None are named, or in two ways.</exception>
    /// <exception cref="Core.DeloraFormatException">The file cannot be read.</exception>
    public IReadOnlyList<(string Text, string? Pair)> Read(ParseResult parsed, CliConsole console)
    {
        string[] texts = parsed.GetValue(_texts) ?? [];
        string? pair = parsed.GetValue(_pair), file = parsed.GetValue(_data);
        if (texts.Length == 0 == file is null)
            throw new InputException("either --text or --data is wanted");
        if (pair is not null && texts.Length != 1)
            throw new InputException("--pair is the second text of one --text");
        return file is null ? [.. texts.Select(text => (text, pair))] : ClassificationData.LoadTexts(file, console.Warn);
    }
}
