using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// Texts in memory on which an encoder is trained, whatever their labels; a batch is as long as the longest of its texts. Immutable, and for any
/// number of threads.
/// </summary>
public abstract class EncodedRows
{
    private readonly EncodedText[] _texts;
    private readonly int _paddingId;

    /// <param name="config">The model's: the padding token.</param>
    /// <param name="texts">Ids with special tokens.</param>
    /// <param name="labels">For how many texts there are labels.</param>
    /// <param name="kind">What the labels are; part of the fingerprint.</param>
    /// <param name="appendLabels">Adds the labels to the fingerprint.</param>
    /// <exception cref="ShapeException">There is no text, one is empty, or there are more or less labels than texts.</exception>
    private protected EncodedRows(EncoderConfig config, EncodedText[] texts, int labels, int kind, Action<IncrementalHash> appendLabels)
    {
        (_texts, _paddingId) = (texts, config.PadTokenId);
        string name = GetType().Name;
        Check.Shapes(texts.Length > 0 && texts.Length == labels, $"{name}: {texts.Length} texts, and labels for {labels}");
        Check.Shapes(texts.All(text => text.Ids.Length > 0), $"{name}: a text has no token");
        LargestId = texts.Max(text => text.Ids.Max());
        Longest = texts.Max(text => text.Ids.Length);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Append(hash, [texts.Length, kind]);
        foreach (EncodedText text in texts)
        {
            Append(hash, [text.Ids.Length]);
            Append(hash, text.Ids);
            Append(hash, text.TokenTypeIds);
        }
        appendLabels(hash);
        Fingerprint = Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Number of texts.</summary>
    public int Count => _texts.Length;

    /// <summary>The largest id that goes in; a model's vocabulary must be larger.</summary>
    public int LargestId { get; }

    /// <summary>Tokens of the longest text.</summary>
    public int Longest { get; }

    /// <summary>SHA-256 of all ids, token types and labels in their order, in hexadecimal digits.</summary>
    public string Fingerprint { get; }

    /// <summary>The tokens of each text.</summary>
    internal IEnumerable<BatchExtent> RowExtents() => _texts.Select(text => new BatchExtent(text.Ids.Length, text.Ids.Length));

    /// <summary>The texts of a batch, in this order.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such text.</exception>
    private protected EncodedBatch Pad(ReadOnlySpan<int> rows, Func<int, int>? lengthOf)
    {
        var texts = new EncodedText[rows.Length];
        for (int i = 0; i < rows.Length; i++)
            texts[i] = (uint)rows[i] < (uint)Count
                ? _texts[rows[i]]
                : throw new ArgumentOutOfRangeException(nameof(rows), rows[i], $"There are {Count} texts.");
        return EncodedBatch.Pad(texts, _paddingId, lengthOf);
    }

    /// <summary>Adds numbers in the machine's own byte order: another order is other data, and refused.</summary>
    private protected static void Append<T>(IncrementalHash hash, ReadOnlySpan<T> values) where T : unmanaged =>
        hash.AppendData(MemoryMarshal.AsBytes(values));
}
