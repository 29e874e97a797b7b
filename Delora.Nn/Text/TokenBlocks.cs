namespace Delora.Nn;

/// <summary>
/// One sequence of token ids, cut into rows: row i has the ids from i·length on as inputs and those from i·length + 1 on as targets, so
/// that neighbours overlap by one id and each id but the first is a target exactly once. The last row may be short: it is filled up with
/// positions that do not count.
/// </summary>
public sealed class TokenBlocks : TokenRows
{
    /// <summary>Positions that a row may have at most.</summary>
    public const int MaxLength = 1 << 24;

    private readonly int[] _ids;
    private readonly int _length;

    /// <summary>Rows of a sequence, which is copied.</summary>
    /// <param name="ids">The ids, at least two.</param>
    /// <param name="length">Positions in a row, 1 to <see cref="MaxLength"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">There are less, or more positions.</exception>
    public TokenBlocks(IEnumerable<int> ids, int length)
    {
        ArgumentNullException.ThrowIfNull(ids);
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, MaxLength);
        _ids = [.. ids];
        ArgumentOutOfRangeException.ThrowIfLessThan(_ids.Length, 2, nameof(ids));
        _length = length;
    }

    /// <inheritdoc/>
    public override int Count => (_ids.Length - 2) / _length + 1;

    /// <inheritdoc/>
    public override int Length => _length;

    /// <summary>Number of ids.</summary>
    public int TokenCount => _ids.Length;

    /// <summary>
    /// Documents one behind the other. Each begins with the tokenizer's begin token where the model expects one, and ends with its end
    /// token where there is one.
    /// </summary>
    /// <param name="tokenizer">Encodes the documents.</param>
    /// <param name="documents">The texts.</param>
    /// <param name="length">Positions in a row.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// There is no text, or <paramref name="length"/> is below 1 or above <see cref="MaxLength"/>.
    /// </exception>
    public static TokenBlocks Join(TextTokenizer tokenizer, IEnumerable<string> documents, int length)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(documents);
        return new TokenBlocks(documents.SelectMany(text => Document(tokenizer, text)), length);
    }

    /// <summary>The ids of a document with the tokens around it; those that a trusted text has itself are not there twice.</summary>
    internal static List<int> Document(TextTokenizer tokenizer, string text, bool parseSpecial = false)
    {
        List<int> ids = tokenizer.EncodeTrusted(text, tokenizer.AddsBegin, parseSpecial);
        if (tokenizer.EndId is { } end && !(parseSpecial && ids.Count > 0 && ids[^1] == end)) ids.Add(end);
        return ids;
    }

    private protected override void Fill(int row, Span<int> inputs, Span<int> targets)
    {
        int start = row * _length;
        Fill(_ids.AsSpan(start, Math.Min(_length + 1, _ids.Length - start)), 0, inputs, targets);
    }
}
