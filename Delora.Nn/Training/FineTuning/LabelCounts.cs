namespace Delora.Nn;

/// <summary>Right and wrong answers of each label.</summary>
/// <param name="labels">How many labels there are.</param>
internal sealed class LabelCounts(int labels)
{
    private readonly int[] _right = new int[labels], _given = new int[labels], _wanted = new int[labels];
    private int _allRight, _count;

    /// <summary>Share of what was labelled just as wanted.</summary>
    public double Accuracy => (double)_allRight / _count;

    /// <summary>The label with the highest score; the first of several.</summary>
    public static int Best(ReadOnlySpan<double> scores)
    {
        int best = 0;
        for (int label = 1; label < scores.Length; label++)
            if (scores[label] > scores[best]) best = label;
        return best;
    }

    /// <summary>Counts one label that was given, beside the one that was wanted.</summary>
    public void Add(int given, int wanted) => Add(label => label == given, label => label == wanted);

    /// <summary>Counts any number of labels.</summary>
    public void Add(Predicate<int> given, Predicate<int> wanted)
    {
        bool all = true;
        for (int label = 0; label < labels; label++)
        {
            (bool isGiven, bool isWanted) = (given(label), wanted(label));
            if (isGiven) _given[label]++;
            if (isWanted) _wanted[label]++;
            if (isGiven && isWanted) _right[label]++;
            all &= isGiven == isWanted;
        }
        if (all) _allRight++;
        _count++;
    }

    /// <summary>The mean over labels of F1 = 2·tp / (2·tp + fp + fn), 0 where a label was never right.</summary>
    /// <param name="occurringOnly">Whether labels are left out that were neither given nor wanted.</param>
    public double MacroF1(bool occurringOnly)
    {
        double[] scores = [.. Enumerable.Range(0, labels).Where(label => !occurringOnly || _given[label] + _wanted[label] > 0)
            .Select(label => _right[label] == 0 ? 0 : 2.0 * _right[label] / (_given[label] + _wanted[label]))];
        return scores.Average();
    }
}
