using System.Collections.Immutable;
using System.Text.Json;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>Reads files of texts whose words have labels, for a <see cref="TokenClassifier"/>.</summary>
public static class TokenClassificationData
{
    private const string TokensField = "tokens", LabelsField = "labels";
    private const int MaxBytes = 1 << 29;

    /// <summary>
    /// Reads words with their labels: JSON lines with <c>tokens</c>, a list of words, and <c>labels</c>, a list of as many names of labels or
    /// numbers. The first token of a word has its label; those behind it, special tokens and padding don't count (−100), as in transformers'
    /// example <c>run_ner.py</c>.
    /// </summary>
    /// <param name="path">The file, UTF-8.</param>
    /// <param name="tokenizer">Encodes each word by itself; see <see cref="TextTokenizer.EncodeWordsForModel"/>.</param>
    /// <param name="config">The model's labels.</param>
    /// <param name="length">The most tokens of a text, special ones included; longer texts are cut as the tokenizer does.</param>
    /// <param name="warn">Told how many texts were cut or left out, of words that have no token, and of fields that are not used.</param>
    /// <exception cref="DeloraFormatException">The file can't be read, or a line is wrong; names it.</exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="length"/> is below 1, or (<c>maxLength</c>) below the number of special tokens that stand around a text.
    /// </exception>
    public static TokenClassificationRows Load(
        string path, TextTokenizer tokenizer, EncoderConfig config, int length, Action<string>? warn = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        var reader = new LabelReader(config, path);
        List<EncodedText> texts = [];
        List<int[]> labels = [];
        (int count, int cut, int empty, int silent) = (0, 0, 0, 0);
        foreach ((int line, ImmutableArray<string> words, LabelValue value) in Read(path, warn))
        {
            count++;
            // Also where the word is cut: a wrong label is an error anywhere.
            int[] ids = [.. value.Items.Select((item, i) => reader.Id($"line {line}: {LabelsField}[{i}]", item, LabelForm.List))];
            WordEncoding encoded = tokenizer.EncodeWordsForModel(words, length);
            if (encoded.Cut) cut++;
            silent += encoded.WithoutTokens;
            int[] row = [.. encoded.Words.Select((word, i) =>
                word < 0 || (i > 0 && encoded.Words[i - 1] == word) ? CrossEntropyKernel.IgnoreIndex : ids[word])];
            if (row.All(label => label == CrossEntropyKernel.IgnoreIndex))
            {
                empty++;
                continue;
            }
            texts.Add(encoded.Text);
            labels.Add(row);
        }
        if (texts.Count == 0) throw new DeloraFormatException(path, null, count == 0 ? "holds no text." : "no text has a word with a token.");
        if (cut > 0) warn?.Invoke($"{path}: {cut} of {count} texts have more than {length} tokens and were cut.");
        if (silent > 0) warn?.Invoke($"{path}: {silent} words without a token were left out, with their labels.");
        if (empty > 0) warn?.Invoke($"{path}: {empty} texts without a word were left out.");
        return TokenClassificationRows.Of(config, texts, labels);
    }

    /// <summary>
    /// The labels of a file, which a new classifier needs: the distinct names in the order of their characters, or where all are whole
    /// numbers <see cref="EncoderConfig.DefaultLabels"/> up to the largest.
    /// </summary>
    /// <exception cref="DeloraFormatException">The file can't be read, a line is wrong, or a number is too large for a label.</exception>
    public static IReadOnlyList<string> LabelNames(string path) =>
        LabelReader.NamesOf(Read(path, warn: null).SelectMany(row => row.Labels.Items), path);

    /// <summary>
    /// Reads texts without labels: JSON lines with <c>tokens</c>, whose words they are, or any file of
    /// <see cref="ClassificationData.LoadTexts"/>, whose texts are cut into words (<see cref="TextWords.Split"/>).
    /// </summary>
    /// <exception cref="DeloraFormatException">The file can't be read, holds pairs of texts, or a line is wrong; names it.</exception>
    public static IReadOnlyList<TextWords> LoadTexts(string path, Action<string>? warn = null)
    {
        bool isJson = Path.GetExtension(path).ToLowerInvariant() is ".jsonl" or ".json";
        if (isJson && JsonLineReader.Read(RegularFile.ReadAll(path, MaxBytes), path).FirstOrDefault().Fields?.Left.ContainsKey(TokensField) == true)
            return [.. Read(path, warn, labelled: false).Select(row => TextWords.Join(row.Words))];
        return [.. ClassificationData.LoadTexts(path, warn).Select(text => text.Pair is null
            ? TextWords.Split(text.Text)
            : throw new DeloraFormatException(path, "text_pair", "a classifier of tokens labels one text, no pair."))];
    }

    private static IEnumerable<(int Line, ImmutableArray<string> Words, LabelValue Labels)> Read(
        string path, Action<string>? warn, bool labelled = true)
    {
        HashSet<string> ignored = [];
        foreach ((int line, JsonFields fields) in JsonLineReader.Read(RegularFile.ReadAll(path, MaxBytes), path))
        {
            if (!fields.Left.TryGetValue(TokensField, out JsonElement tokens) || tokens.ValueKind != JsonValueKind.Array)
                throw fields.Wrong(TokensField, "is missing, or no list of words.");
            ImmutableArray<string> words = fields.Texts(TokensField)!.Value;
            bool listed = fields.TryTake(LabelsField, out JsonElement list) && list.ValueKind == JsonValueKind.Array;
            if (labelled && !listed) throw fields.Wrong(LabelsField, "is missing, or no list of labels.");
            LabelValue labels = labelled ? LabelledTextFile.LabelOf(fields, LabelsField, list) : new LabelValue(LabelForm.List, []);
            if (labelled && labels.Items.Count != words.Length)
                throw fields.Wrong(LabelsField, $"holds {labels.Items.Count} labels for {words.Length} words.");
            foreach ((string field, JsonElement _) in fields.Left)
                if (ignored.Add(field)) warn?.Invoke($"{path}: line {line}: the field '{field}' is ignored.");
            yield return (line, words, labels);
        }
    }
}
