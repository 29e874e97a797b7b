using Delora.Core;

namespace Delora.Nn;

/// <summary>A text, or a pair of texts, as a model with special tokens takes it.</summary>
/// <param name="Ids">The tokens, special ones included.</param>
/// <param name="TokenTypeIds">For each token which of the two texts it belongs to, 0 or 1.</param>
public sealed record EncodedText(int[] Ids, int[] TokenTypeIds)
{
    /// <summary>The ids alone, all of type 0.</summary>
    public EncodedText(params int[] ids) : this(ids, new int[ids.Length])
    {
    }
}

/// <summary>Texts that an encoder computes at once: rows of one length, the shorter ones filled up. Immutable.</summary>
public sealed class EncodedBatch
{
    private EncodedBatch(int[] ids, int[] mask, int[] tokenTypes, int rows, int length) =>
        (Ids, Mask, TokenTypes, Rows, Length) = (ids, mask, tokenTypes, rows, length);

    /// <summary>The tokens, row after row: [rows, length].</summary>
    public IReadOnlyList<int> AllIds => Ids;

    /// <summary>Number of texts.</summary>
    public int Rows { get; }

    /// <summary>Tokens of a row, padding included.</summary>
    public int Length { get; }

    internal int[] Ids { get; }

    /// <summary>0 for padding, 1 for tokens; [rows, length].</summary>
    internal int[] Mask { get; }

    internal int[] TokenTypes { get; }

    /// <summary>Whether a row is shorter than the longest.</summary>
    internal bool HasPadding => Mask.Contains(0);

    /// <summary>A batch from arrays as HuggingFace tokenizers give them.</summary>
    /// <param name="ids"><c>input_ids</c>, [rows, length], row after row.</param>
    /// <param name="mask"><c>attention_mask</c>: 0 for padding, which may lie anywhere; null for none.</param>
    /// <param name="tokenTypes"><c>token_type_ids</c>; null for zeros.</param>
    /// <param name="rows">Number of texts, at least 1.</param>
    /// <exception cref="ShapeException">The arrays are not of one length, or no multiple of the rows; or a row is all padding.</exception>
    public static EncodedBatch From(int[] ids, int[]? mask, int[]? tokenTypes, int rows)
    {
        Check.Shapes(rows >= 1 && ids.Length > 0 && ids.Length % rows == 0, $"EncodedBatch: {ids.Length} ids are not {rows} rows of one length");
        Check.Shapes(mask is null || mask.Length == ids.Length, $"EncodedBatch: {ids.Length} ids, and a mask of {mask?.Length}");
        Check.Shapes(tokenTypes is null || tokenTypes.Length == ids.Length, $"EncodedBatch: {ids.Length} ids, and {tokenTypes?.Length} token types");
        int length = ids.Length / rows;
        int[] tokens = mask is null ? [.. Enumerable.Repeat(1, ids.Length)] : [.. mask.Select(value => value == 0 ? 0 : 1)];
        for (int row = 0; row < rows; row++)
            Check.Shapes(tokens.AsSpan(row * length, length).Contains(1), $"EncodedBatch: row {row} is all padding");
        return new EncodedBatch([.. ids], tokens, tokenTypes is null ? new int[ids.Length] : [.. tokenTypes], rows, length);
    }

    /// <summary>Texts of any lengths, each filled up at the right to the longest of them.</summary>
    /// <param name="texts">At least one, none empty.</param>
    /// <param name="paddingId">The token that fills up: the model's <see cref="EncoderConfig.PadTokenId"/>.</param>
    /// <exception cref="ShapeException">There is no text, one is empty, or has not as many types as ids.</exception>
    public static EncodedBatch Pad(IReadOnlyList<EncodedText> texts, int paddingId) => Pad(texts, paddingId, null);

    /// <summary>The same, to a length that follows from that of the longest of them and is not below it; null for that length.</summary>
    internal static EncodedBatch Pad(IReadOnlyList<EncodedText> texts, int paddingId, Func<int, int>? lengthOf)
    {
        Check.Shapes(texts.Count > 0, $"EncodedBatch: there is no text");
        foreach (EncodedText text in texts)
            Check.Shapes(text.Ids.Length > 0 && text.TokenTypeIds.Length == text.Ids.Length,
                $"EncodedBatch: a text has {text.Ids.Length} ids and {text.TokenTypeIds.Length} token types");
        int longest = texts.Max(text => text.Ids.Length);
        int length = lengthOf?.Invoke(longest) ?? longest, count = checked(texts.Count * length);
        int[] ids = new int[count], mask = new int[count], types = new int[count];
        Array.Fill(ids, paddingId);
        foreach ((int row, EncodedText text) in texts.Index())
        {
            text.Ids.CopyTo(ids, row * length);
            text.TokenTypeIds.CopyTo(types, row * length);
            mask.AsSpan(row * length, text.Ids.Length).Fill(1);
        }
        return new EncodedBatch(ids, mask, types, texts.Count, length);
    }
}
