namespace Delora.Nn;

/// <summary>
/// The entities that the labels of a text's words stand for, where these say <c>B-</c>, <c>I-</c>, <c>E-</c> or <c>S-</c> before a kind (the
/// first word of an entity, one inside, the last, a single one) and <c>O</c> for none.
/// </summary>
/// <remarks>
/// Read as CoNLL's <c>conlleval</c> and seqeval's default mode do: an entity also begins at <c>I-</c> where none of that kind is open.
/// </remarks>
internal static class EntitySpans
{
    /// <summary>Whether a model's labels are of this form.</summary>
    public static bool AreIn(IEnumerable<string> labels) => labels.Any(label => label.StartsWith("B-", StringComparison.Ordinal)
        || label.StartsWith("I-", StringComparison.Ordinal));

    /// <summary>The entities: numbers of the first word and of the one behind the last, and the kind.</summary>
    public static IEnumerable<(int Start, int End, string Kind)> Of(IReadOnlyList<string> labels)
    {
        (int start, string? open) = (0, null);
        for (int i = 0; i < labels.Count; i++)
        {
            (char position, string kind) = Parse(labels[i]);
            if (open is not null && (position is 'O' or 'B' or 'S' || kind != open))
            {
                yield return (start, i, open);
                open = null;
            }
            if (position == 'O') continue;
            if (open is null) (start, open) = (i, kind);
            if (position is not ('E' or 'S')) continue;
            yield return (start, i + 1, open);
            open = null;
        }
        if (open is not null) yield return (start, labels.Count, open);
    }

    private static (char Position, string Kind) Parse(string label) =>
        label is ['B' or 'I' or 'E' or 'S', '-', ..] ? (label[0], label[2..]) : ('O', "");
}
