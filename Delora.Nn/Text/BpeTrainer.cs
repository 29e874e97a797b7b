using System.Text;
using System.Text.Json;

namespace Delora.Nn;

/// <summary>
/// Learns a byte-level BPE vocabulary, as GPT-2's: beginning with the 256 bytes, the pair of neighbouring tokens that is most frequent
/// inside the words of the text becomes a token, again and again. At equal counts the pair with the lower ids wins, so the same text
/// gives the same vocabulary everywhere.
/// </summary>
public static class BpeTrainer
{
    /// <summary>The special token that ends a text; it has the last id.</summary>
    public const string EndOfText = "<|endoftext|>";

    /// <summary>The smallest vocabulary: the bytes and <see cref="EndOfText"/>.</summary>
    public const int SmallestVocabulary = 257;

    /// <summary>A merge looks at whole words: one of millions of letters (base pairs, base64) would be looked at for every merge.</summary>
    private const int LongestWord = 256;

    /// <summary>
    /// Learns a vocabulary. Words of more than 256 characters are learned in pieces of that length, so no token is longer.
    /// </summary>
    /// <param name="texts">The documents; no word spans two.</param>
    /// <param name="vocabularySize">
    /// Tokens at most, <see cref="EndOfText"/> and the bytes included; it stays below where no pair occurs twice any more.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="vocabularySize"/> is below <see cref="SmallestVocabulary"/>.
    /// </exception>
    public static TextTokenizer Train(IEnumerable<string> texts, int vocabularySize)
    {
        ArgumentNullException.ThrowIfNull(texts);
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabularySize, SmallestVocabulary);
        List<(int Left, int Right, int Id)> merges = new PairCounts(CountWords(texts)).Merge(256, vocabularySize - SmallestVocabulary);

        List<byte[]> tokens = [.. Enumerable.Range(0, 256).Select(value => new[] { (byte)value })];
        foreach ((int left, int right, _) in merges) tokens.Add([.. tokens[left], .. tokens[right]]);
        int endId = tokens.Count;
        tokens.Add([]);
        var vocabulary = new ByteLevelVocabulary([.. tokens], merges, new Dictionary<string, int> { [EndOfText] = endId });
        var specials = new TokenizerSpecials(vocabulary.Specials, endId, endId, AddsBegin: false) { Template = TokenTemplate.Around(null, null) };
        return new PipelineTokenizer(
            [new AddedToken(EndOfText, endId, Special: true)], null, new Gpt2Splitter(), new ByteLevelModel(vocabulary), specials,
            new Dictionary<string, byte[]> { [TokenizerFiles.Json] = ByteLevelJson.Write(vocabulary), [TokenizerFiles.Config] = Config() });
    }

    /// <summary>Every different word once, as bytes, with how often it occurs.</summary>
    private static List<(int[] Symbols, long Count)> CountWords(IEnumerable<string> texts)
    {
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        var lookup = counts.GetAlternateLookup<ReadOnlySpan<char>>();
        foreach (string text in texts)
        {
            ArgumentNullException.ThrowIfNull(text, nameof(texts));
            for (ReadOnlySpan<char> left = text; !left.IsEmpty;)
            {
                ReadOnlySpan<char> word = left[..Gpt2Words.FirstLength(left)];
                left = left[word.Length..];
                for (; !word.IsEmpty; word = word[PieceLength(word)..])
                {
                    ReadOnlySpan<char> piece = word[..PieceLength(word)];
                    lookup[piece] = lookup.TryGetValue(piece, out long count) ? count + 1 : 1;
                }
            }
        }
        return [.. counts.Select(word => (Encoding.UTF8.GetBytes(word.Key).Select(value => (int)value).ToArray(), word.Value))];
    }

    /// <summary>Never ends between the halves of a character.</summary>
    private static int PieceLength(ReadOnlySpan<char> word) => word.Length <= LongestWord ? word.Length
        : char.IsSurrogatePair(word[LongestWord - 1], word[LongestWord]) ? LongestWord - 1 : LongestWord;

    private static byte[] Config()
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteBoolean("add_prefix_space", false);
            foreach (string field in (string[])["bos_token", "eos_token", "unk_token"]) json.WriteString(field, EndOfText);
            json.WriteBoolean("clean_up_tokenization_spaces", false);
            json.WriteString("tokenizer_class", "GPT2Tokenizer");
            json.WriteEndObject();
        }
        return stream.ToArray();
    }
}
