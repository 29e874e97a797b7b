using System.Collections.Immutable;

namespace Delora.Nn;

/// <summary>A part of what a model reads: a special token, the first text or the second.</summary>
/// <param name="Kind">Which of the three.</param>
/// <param name="Id">The special token's id.</param>
/// <param name="TypeId">The token type id of all its tokens.</param>
internal readonly record struct TemplatePart(TemplatePartKind Kind, int Id, int TypeId)
{
    public static TemplatePart Special(int id, int typeId = 0) => new(TemplatePartKind.Special, id, typeId);

    public static TemplatePart First(int typeId = 0) => new(TemplatePartKind.First, 0, typeId);

    public static TemplatePart Second(int typeId) => new(TemplatePartKind.Second, 0, typeId);
}

/// <summary>What a <see cref="TemplatePart"/> is.</summary>
internal enum TemplatePartKind { Special, First, Second }

/// <summary>Where the special tokens of a model stand around one text and around two: what a post-processor adds.</summary>
/// <param name="Single">Around one text.</param>
/// <param name="Pair">Around two.</param>
internal sealed record TokenTemplate(ImmutableArray<TemplatePart> Single, ImmutableArray<TemplatePart> Pair)
{
    /// <summary>Begin and end tokens around each text, as Llama's; none where they are null.</summary>
    public static TokenTemplate Around(int? beginId, int? endId)
    {
        ImmutableArray<TemplatePart> first = Around(TemplatePart.First()), second = Around(TemplatePart.Second(1));
        return new TokenTemplate(first, [.. first, .. second]);

        ImmutableArray<TemplatePart> Around(TemplatePart text)
        {
            var parts = ImmutableArray.CreateBuilder<TemplatePart>();
            if (beginId is { } begin) parts.Add(TemplatePart.Special(begin, text.TypeId));
            parts.Add(text);
            if (endId is { } end) parts.Add(TemplatePart.Special(end, text.TypeId));
            return parts.ToImmutable();
        }
    }

    /// <summary>cls first sep, and cls first sep second sep with type 1 for the second text, as BERT's.</summary>
    public static TokenTemplate Bert(int cls, int sep) => new(
        [TemplatePart.Special(cls), TemplatePart.First(), TemplatePart.Special(sep)],
        [
            TemplatePart.Special(cls), TemplatePart.First(), TemplatePart.Special(sep), TemplatePart.Second(1), TemplatePart.Special(sep, 1),
        ]);

    /// <summary>cls first sep, and cls first sep sep second sep, all of type 0, as RoBERTa's.</summary>
    public static TokenTemplate Roberta(int cls, int sep) => new(
        [TemplatePart.Special(cls), TemplatePart.First(), TemplatePart.Special(sep)],
        [
            TemplatePart.Special(cls), TemplatePart.First(), TemplatePart.Special(sep), TemplatePart.Special(sep), TemplatePart.Second(0),
            TemplatePart.Special(sep),
        ]);

    /// <summary>
    /// Ids and type ids of one text or two, at most <paramref name="maxLength"/>: what is too long is cut from the texts, from the longer
    /// first; the special tokens stay. The rule for two is that of HuggingFace's <c>tokenizers</c> (<c>longest_first</c>).
    /// </summary>
    /// <param name="first">Ids of the first text.</param>
    /// <param name="second">Ids of the second; null for none.</param>
    /// <param name="maxLength">The most ids.</param>
    /// <param name="fromLeft">Whether texts lose their beginnings instead of their ends.</param>
    /// <exception cref="ArgumentOutOfRangeException">The special tokens alone are more.</exception>
    public (int[] Ids, int[] TypeIds) Build(List<int> first, List<int>? second, int maxLength, bool fromLeft)
    {
        ImmutableArray<TemplatePart> parts = second is null ? Single : Pair;
        int room = maxLength - parts.Count(part => part.Kind == TemplatePartKind.Special);
        if (room < 0)
            throw new ArgumentOutOfRangeException(nameof(maxLength), maxLength, $"The special tokens alone are {maxLength - room}.");
        (int most, int mostOfSecond) = Lengths(first.Count, second?.Count ?? 0, room);
        List<int> ids = [], types = [];
        foreach (TemplatePart part in parts)
        {
            if (part.Kind == TemplatePartKind.Special) ids.Add(part.Id);
            else if (part.Kind == TemplatePartKind.First) AddText(first, most);
            else AddText(second!, mostOfSecond);
            types.AddRange(Enumerable.Repeat(part.TypeId, ids.Count - types.Count));
        }
        return ([.. ids], [.. types]);

        void AddText(List<int> text, int count) => ids.AddRange(text.Slice(fromLeft ? text.Count - count : 0, count));
    }

    /// <summary>
    /// How many ids of two texts fit into a room. Of an odd room the longer text has one more, or the second of two that are equally long.
    /// (Version 0.23 of the library stops to encode a text soon after <c>max_length</c>; where both are that long, it may give that one to the
    /// other.)
    /// </summary>
    private static (int First, int Second) Lengths(int first, int second, int room)
    {
        if ((long)first + second <= room) return (first, second);
        (int small, int large) = (Math.Min(first, second), Math.Max(first, second));
        large = small > room ? small : Math.Max(small, room - small);
        if ((long)small + large > room) (small, large) = (room / 2, room / 2 + room % 2);
        return first > second ? (large, small) : (small, large);
    }
}
