using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Texts with their labels, as a <see cref="SequenceClassifier"/> is trained on them.</summary>
/// <param name="Inputs">The texts.</param>
/// <param name="Labels">The label of each text; null for the other problems.</param>
/// <param name="Targets">[rows, labels]: 0 or 1 for several labels a text, numbers for a regression; null for a single label.</param>
public sealed record ClassificationBatch(EncodedBatch Inputs, int[]? Labels, float[]? Targets);

/// <summary>
/// Labelled texts in memory; a batch is as long as the longest of its texts. Immutable, and for any number of threads.
/// </summary>
public sealed class ClassificationRows
{
    private readonly EncodedText[] _texts;
    private readonly int[] _labels;
    private readonly float[][] _targets;
    private readonly int _paddingId;

    private ClassificationRows(EncoderConfig config, ClassificationProblem problem, IEnumerable<EncodedText> texts, int[] labels, float[][] targets)
    {
        (_texts, _labels, _targets, _paddingId, Problem) = ([.. texts], labels, targets, config.PadTokenId, problem);
        int rows = problem == ClassificationProblem.SingleLabel ? labels.Length : targets.Length;
        Check.Shapes(_texts.Length > 0 && _texts.Length == rows, $"ClassificationRows: {_texts.Length} texts, and labels for {rows}");
        Check.Shapes(_texts.All(text => text.Ids.Length > 0), $"ClassificationRows: a text has no token");
        LargestId = _texts.Max(text => text.Ids.Max());
        Longest = _texts.Max(text => text.Ids.Length);
        Fingerprint = ComputeFingerprint();
    }

    /// <summary>Number of texts.</summary>
    public int Count => _texts.Length;

    /// <summary>What the labels are.</summary>
    public ClassificationProblem Problem { get; }

    /// <summary>The largest id that goes in; a model's vocabulary must be larger.</summary>
    public int LargestId { get; }

    /// <summary>Tokens of the longest text.</summary>
    public int Longest { get; }

    /// <summary>SHA-256 of all ids, token types and labels in their order, in hexadecimal digits.</summary>
    public string Fingerprint { get; }

    /// <summary>Texts that have one label each.</summary>
    /// <param name="config">The model's: the padding token and the number of labels.</param>
    /// <param name="texts">Ids with special tokens, none empty.</param>
    /// <param name="labels">0 … labels − 1, for each text.</param>
    /// <exception cref="ShapeException">There is no text, one is empty, or there are more or less labels than texts.</exception>
    /// <exception cref="IndexException">A label is none of the model's.</exception>
    public static ClassificationRows Of(EncoderConfig config, IEnumerable<EncodedText> texts, IEnumerable<int> labels)
    {
        int[] all = [.. labels];
        foreach (int label in all)
            if ((uint)label >= (uint)config.LabelCount)
                throw new IndexException($"ClassificationRows: the label {label} is none of the model's {config.LabelCount}");
        return new ClassificationRows(config, ClassificationProblem.SingleLabel, texts, all, []);
    }

    /// <summary>Texts that have several labels, or numbers where the configuration's problem is a regression.</summary>
    /// <param name="config">The model's: the padding token, the number of labels, the problem.</param>
    /// <param name="texts">Ids with special tokens, none empty.</param>
    /// <param name="targets">For each text as many numbers as there are labels; 0 or 1 where it is no regression.</param>
    /// <exception cref="ShapeException">There is no text, one is empty, or the targets are more or less.</exception>
    /// <exception cref="ArgumentException">A target is not finite, or for several labels neither 0 nor 1.</exception>
    public static ClassificationRows Of(EncoderConfig config, IEnumerable<EncodedText> texts, IEnumerable<float[]> targets)
    {
        float[][] all = [.. targets];
        ClassificationProblem problem = config.ProblemOf(ClassificationProblem.MultiLabel);
        foreach (float[] target in all)
        {
            Check.Shapes(target.Length == config.LabelCount, $"ClassificationRows: {target.Length} targets for {config.LabelCount} labels");
            SequenceClassifier.CheckTargets(target, problem);
        }
        return new ClassificationRows(config, problem, texts, [], all);
    }

    /// <summary>The texts of a batch, in this order.</summary>
    /// <param name="rows">Their numbers, from 0; one may be there twice.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such text.</exception>
    public ClassificationBatch Take(params ReadOnlySpan<int> rows)
    {
        var texts = new EncodedText[rows.Length];
        for (int i = 0; i < rows.Length; i++)
            texts[i] = (uint)rows[i] < (uint)Count
                ? _texts[rows[i]]
                : throw new ArgumentOutOfRangeException(nameof(rows), rows[i], $"There are {Count} texts.");
        EncodedBatch inputs = EncodedBatch.Pad(texts, _paddingId);
        if (Problem == ClassificationProblem.SingleLabel)
        {
            var labels = new int[rows.Length];
            for (int i = 0; i < rows.Length; i++) labels[i] = _labels[rows[i]];
            return new ClassificationBatch(inputs, labels, null);
        }
        List<float> targets = [];
        foreach (int row in rows) targets.AddRange(_targets[row]);
        return new ClassificationBatch(inputs, null, [.. targets]);
    }

    /// <summary>The tokens of each text.</summary>
    internal IEnumerable<BatchExtent> RowExtents() => _texts.Select(text => new BatchExtent(text.Ids.Length, text.Ids.Length));

    private string ComputeFingerprint()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Append([Count, (int)Problem]);
        foreach (EncodedText text in _texts)
        {
            Append([text.Ids.Length]);
            Append(text.Ids);
            Append(text.TokenTypeIds);
        }
        Append(_labels);
        foreach (float[] target in _targets) hash.AppendData(MemoryMarshal.AsBytes<float>(target));
        return Convert.ToHexStringLower(hash.GetHashAndReset());

        // In the machine's own byte order: another order is other data, and refused.
        void Append(ReadOnlySpan<int> values) => hash.AppendData(MemoryMarshal.AsBytes(values));
    }
}
