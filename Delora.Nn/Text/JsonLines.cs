using System.Text.Json;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Reads the examples of a file with one JSON object a line; empty lines don't count.</summary>
internal sealed class JsonLines(string file, TextTokenizer tokenizer, int length, bool parseSpecial, Action<string>? warn)
{
    private const string TextField = "text", PromptField = "prompt", CompletionField = "completion";

    private readonly List<(int[] Ids, int Prompt)> _rows = [];
    private readonly HashSet<string> _ignored = [];
    private int _cut, _empty, _masked;

    /// <exception cref="DeloraFormatException">Names the line.</exception>
    public TokenExamples Read(ReadOnlyMemory<byte> bytes)
    {
        foreach ((int line, JsonFields fields) in JsonLineReader.Read(bytes, file)) Add(fields, line);

        if (_rows.Count == 0)
            throw new DeloraFormatException(file, null, _masked > 0
                ? $"every target is masked: no completion begins within {length} positions."
                : _empty > 0 ? "every row is empty." : "holds no row.");
        if (_cut > 0) warn?.Invoke($"{file}: {_cut} of {_rows.Count} rows have more than {length} positions and were cut.");
        if (_empty > 0) warn?.Invoke($"{file}: {_empty} rows without text were left out.");
        if (_masked > 0)
            warn?.Invoke($"{file}: {_masked} rows were left out: their completions do not begin within {length} positions.");
        return new TokenExamples(_rows, tokenizer.EndId ?? 0);
    }

    private void Add(JsonFields fields, int line)
    {
        string? text = fields.Text(TextField, null);
        string? prompt = fields.Text(PromptField, null), completion = fields.Text(CompletionField, null);
        if (text is not null ? prompt is not null || completion is not null : prompt is null || completion is null)
            throw fields.Wrong($"must have either '{TextField}', or '{PromptField}' and '{CompletionField}'.");
        foreach ((string field, JsonElement _) in fields.Left)
            if (_ignored.Add(field))
                warn?.Invoke($"{file}: line {line}: the field '{field}' is ignored.");

        text ??= prompt + completion;
        List<int> ids = TokenBlocks.Document(tokenizer, text, parseSpecial);
        if (text.Length == 0 || ids.Count < 2)
        {
            _empty++;
            return;
        }
        int masked = prompt is null ? 0 : CountMasked(ids, prompt);
        // A row of n ids has n - 1 positions.
        bool cut = ids.Count - 1 > length;
        if (cut) ids.RemoveRange(length + 1, ids.Count - length - 1);
        if (masked >= ids.Count)
        {
            _masked++;
            return;
        }
        if (cut) _cut++;
        _rows.Add(([.. ids], masked));
    }

    /// <summary>
    /// How many ids at the front hold nothing but the prompt. They are found by their extent: the completion may change where the prompt
    /// is cut into tokens.
    /// </summary>
    private int CountMasked(List<int> ids, string prompt)
    {
        int count = 0, last = tokenizer.EndId is null ? ids.Count : ids.Count - 1;
        for (int left = tokenizer.EncodeTrusted(prompt, tokenizer.AddsBegin, parseSpecial).Sum(tokenizer.ExtentOf); count < last; count++)
        {
            left -= tokenizer.ExtentOf(ids[count]);
            if (left < 0) break;
        }
        return count;
    }
}
