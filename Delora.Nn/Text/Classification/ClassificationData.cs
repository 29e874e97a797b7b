using Delora.Core;

namespace Delora.Nn;

/// <summary>Reads files of texts, and of texts with labels, for a <see cref="SequenceClassifier"/>.</summary>
public static class ClassificationData
{
    /// <summary>
    /// Reads texts with their labels. <c>.jsonl</c> and <c>.json</c> hold one JSON object a line with <c>text</c>, for pairs
    /// <c>text_pair</c>, and <c>label</c> or <c>labels</c>; <c>.csv</c> and <c>.tsv</c> have these columns, named in the first line. A label is
    /// a name of the model's or its number; for a model with several labels a text a list (in a table separated by semicolons); for a
    /// regression a number. All are UTF-8, with or without a byte order mark.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="tokenizer">Encodes it, with the special tokens of the model.</param>
    /// <param name="config">The model's labels and problem; where the problem is open, lists in the data make it several labels a text.</param>
    /// <param name="length">The most tokens of a text, special ones included; longer texts are cut as the tokenizer does.</param>
    /// <param name="warn">Told how many texts were cut or left out, and of fields that are not used.</param>
    /// <exception cref="DeloraFormatException">The file can't be read, or a line is wrong; names it.</exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="length"/> is below 1, or (<c>maxLength</c>) below the number of special tokens that stand around a text.
    /// </exception>
    public static ClassificationRows Load(
        string path, TextTokenizer tokenizer, EncoderConfig config, int length, Action<string>? warn = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        IReadOnlyList<LabelledText> texts = LabelledTextFile.Read(path, labelled: true, warn);
        ClassificationProblem problem = config.ProblemOf(
            texts.Any(text => text.Label!.Form == LabelForm.List) ? ClassificationProblem.MultiLabel : ClassificationProblem.SingleLabel);
        var reader = new LabelReader(config, path);
        List<EncodedText> encoded = [];
        List<int> labels = [];
        List<float[]> targets = [];
        int cut = 0, empty = 0;
        foreach (LabelledText text in texts)
        {
            // Also where the text is left out: a wrong label is an error on any line.
            (int label, float[] target) = problem switch
            {
                ClassificationProblem.SingleLabel => (reader.Single(text), []),
                ClassificationProblem.MultiLabel => (0, reader.Several(text)),
                _ => (0, reader.Numbers(text)),
            };
            (EncodedText one, bool shortened) = Encode(tokenizer, text.Text, text.Pair, length);
            if (shortened) cut++;
            if (one.Ids.Length == 0)
            {
                empty++;
                continue;
            }
            encoded.Add(one);
            if (problem == ClassificationProblem.SingleLabel) labels.Add(label);
            else targets.Add(target);
        }
        if (encoded.Count == 0) throw new DeloraFormatException(path, null, "every text is empty.");
        if (cut > 0) warn?.Invoke($"{path}: {cut} of {texts.Count} texts have more than {length} tokens and were cut.");
        if (empty > 0) warn?.Invoke($"{path}: {empty} texts without a token were left out.");
        return problem == ClassificationProblem.SingleLabel
            ? ClassificationRows.Of(config, encoded, labels)
            : ClassificationRows.Of(config with { Problem = problem }, encoded, targets);
    }

    /// <summary>Reads texts without labels, in the same forms, or from any other file one text a line; empty lines don't count.</summary>
    /// <exception cref="DeloraFormatException">The file can't be read, or a line is wrong; names it.</exception>
    public static IReadOnlyList<(string Text, string? Pair)> LoadTexts(string path, Action<string>? warn = null) =>
        [.. LabelledTextFile.Read(path, labelled: false, warn).Select(text => (text.Text, text.Pair))];

    /// <summary>
    /// The labels of a file, which a new classifier needs: the distinct names in the order of their characters, or where all are whole
    /// numbers <see cref="EncoderConfig.DefaultLabels"/> up to the largest.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="several">Whether a cell of a table holds several labels, separated by semicolons.</param>
    /// <exception cref="DeloraFormatException">The file can't be read, a line is wrong, or a number is too large for a label.</exception>
    public static IReadOnlyList<string> LabelNames(string path, bool several = false) => LabelReader.NamesOf(
        LabelledTextFile.Read(path, labelled: true, null)
            .SelectMany(text => several && text.Label!.Form == LabelForm.Cell ? LabelReader.Parts(text.Label) : text.Label!.Items),
        path);

    /// <summary>A text as the model takes it, and whether it was cut.</summary>
    internal static (EncodedText Text, bool Cut) Encode(TextTokenizer tokenizer, string text, string? pair, int length)
    {
        (int[] ids, int[] types) = tokenizer.EncodeForModel(text, pair, length);
        // Only one that fills the length can have been longer.
        bool cut = ids.Length >= length && tokenizer.EncodeForModel(text, pair).Ids.Length > length;
        return (new EncodedText(ids, types), cut);
    }
}
