using Delora.Core;

namespace Delora.Nn;

/// <summary>Texts with their labels, as a <see cref="SequenceClassifier"/> is trained on them.</summary>
/// <param name="Inputs">The texts.</param>
/// <param name="Labels">The label of each text; null for the other problems.</param>
/// <param name="Targets">[rows, labels]: 0 or 1 for several labels a text, numbers for a regression; null for a single label.</param>
public sealed record ClassificationBatch(EncodedBatch Inputs, int[]? Labels, float[]? Targets);

/// <summary>Texts with labels: what a <see cref="SequenceClassifier"/> is trained on.</summary>
public sealed class ClassificationRows : EncodedRows
{
    private readonly int[] _labels;
    private readonly float[][] _targets;

    private ClassificationRows(EncoderConfig config, ClassificationProblem problem, IEnumerable<EncodedText> texts, int[] labels, float[][] targets)
        : base(config, [.. texts], problem == ClassificationProblem.SingleLabel ? labels.Length : targets.Length, (int)problem, hash =>
        {
            Append<int>(hash, labels);
            foreach (float[] target in targets) Append<float>(hash, target);
        }) =>
        (_labels, _targets, Problem) = (labels, targets, problem);

    /// <summary>What the labels are.</summary>
    public ClassificationProblem Problem { get; }

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
    public ClassificationBatch Take(params ReadOnlySpan<int> rows) => Take(rows, null);

    /// <summary>The same, filled up to a length that follows from that of the longest text.</summary>
    internal ClassificationBatch Take(ReadOnlySpan<int> rows, Func<int, int>? lengthOf)
    {
        EncodedBatch inputs = Pad(rows, lengthOf);
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
}
