using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>Texts with a label for each of their words, as a <see cref="TokenClassifier"/> is trained on them.</summary>
/// <param name="Inputs">The texts.</param>
/// <param name="Labels">[rows, length]: a label for each token; −100 where it does not count.</param>
public sealed record TokenClassificationBatch(EncodedBatch Inputs, int[] Labels);

/// <summary>Texts whose tokens have labels: what a <see cref="TokenClassifier"/> is trained on.</summary>
public sealed class TokenClassificationRows : EncodedRows
{
    private readonly int[][] _labels;

    private TokenClassificationRows(EncoderConfig config, EncodedText[] texts, int[][] labels)
        : base(config, texts, labels.Length, kind: -1, hash =>
        {
            foreach (int[] row in labels) Append<int>(hash, row);
        })
    {
        _labels = labels;
        Words = labels.Sum(row => row.Count(label => label != CrossEntropyKernel.IgnoreIndex));
    }

    /// <summary>Tokens that have a label: the first of each word.</summary>
    public int Words { get; }

    /// <summary>Texts with the labels of their tokens.</summary>
    /// <param name="config">The model's: the padding token and the number of labels.</param>
    /// <param name="texts">Ids with special tokens, none empty.</param>
    /// <param name="labels">For each text as many as it has tokens: 0 … labels − 1, or −100 for a token that does not count.</param>
    /// <exception cref="ShapeException">There is no text, one is empty, has more or less labels than tokens, or none that counts.</exception>
    /// <exception cref="IndexException">A label is none of the model's.</exception>
    public static TokenClassificationRows Of(EncoderConfig config, IEnumerable<EncodedText> texts, IEnumerable<int[]> labels)
    {
        EncodedText[] all = [.. texts];
        int[][] given = [.. labels];
        foreach (((EncodedText text, int[] row), int i) in all.Zip(given).Select((pair, i) => (pair, i)))
        {
            Check.Shapes(text.Ids.Length == row.Length, $"TokenClassificationRows: text {i} has {text.Ids.Length} tokens, and {row.Length} labels");
            bool counts = false;
            foreach (int label in row)
            {
                if (label == CrossEntropyKernel.IgnoreIndex) continue;
                counts = true;
                if ((uint)label >= (uint)config.LabelCount)
                    throw new IndexException($"TokenClassificationRows: the label {label} is none of the model's {config.LabelCount}");
            }
            Check.Shapes(counts, $"TokenClassificationRows: text {i} has no label that counts");
        }
        return new TokenClassificationRows(config, all, given);
    }

    /// <summary>The texts of a batch, in this order.</summary>
    /// <param name="rows">Their numbers, from 0; one may be there twice.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such text.</exception>
    public TokenClassificationBatch Take(params ReadOnlySpan<int> rows) => Take(rows, null);

    /// <summary>The same, filled up to a length that follows from that of the longest text.</summary>
    internal TokenClassificationBatch Take(ReadOnlySpan<int> rows, Func<int, int>? lengthOf)
    {
        EncodedBatch inputs = Pad(rows, lengthOf);
        int[] labels = new int[inputs.Rows * inputs.Length];
        Array.Fill(labels, CrossEntropyKernel.IgnoreIndex);
        for (int i = 0; i < rows.Length; i++) _labels[rows[i]].CopyTo(labels, i * inputs.Length);
        return new TokenClassificationBatch(inputs, labels);
    }
}
