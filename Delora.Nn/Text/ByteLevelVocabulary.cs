namespace Delora.Nn;

/// <summary>A byte-level BPE vocabulary that has been checked: every merge's tokens are there, and all 256 bytes.</summary>
/// <param name="Tokens">The bytes of each token; none for a special one.</param>
/// <param name="Merges">Left, right and merged id, the first merge first.</param>
/// <param name="Specials">Special tokens.</param>
internal sealed record ByteLevelVocabulary(
    byte[][] Tokens, IReadOnlyList<(int Left, int Right, int Id)> Merges, IReadOnlyDictionary<string, int> Specials)
{
    /// <summary>Spells the tokens of a file in bytes.</summary>
    /// <param name="vocabulary">The tokens.</param>
    /// <param name="merges">Reads the merges, once the tokens are known to be good.</param>
    /// <exception cref="Delora.Core.DeloraFormatException">A byte has no token, or a token is not spelled in the byte-level alphabet.</exception>
    public static ByteLevelVocabulary Of(VocabularyTable vocabulary, Func<MergeReader> merges)
    {
        HashSet<string> added = [.. vocabulary.Added.Select(token => token.Content)];
        // An added token is text as it stands, unless all its letters happen to be of the alphabet: so the decoder has it.
        byte[][] tokens = vocabulary.Bytes(
            name => (name.Length > 0 ? ByteAlphabet.Read(name) : null) ?? (added.Contains(name) ? System.Text.Encoding.UTF8.GetBytes(name) : null),
            "is not spelled in the byte-level alphabet");
        for (int value = 0; value < 256; value++)
        {
            string letter = ByteAlphabet.Letter((byte)value).ToString();
            if (!vocabulary.Ids.TryGetValue(letter, out int id))
                throw vocabulary.Wrong($"the token of byte 0x{value:X2}, '{letter}', is missing.");
            if (tokens[id] is not [_]) throw vocabulary.Token(letter, $"is a special token, and byte 0x{value:X2} has no other");
        }
        return new ByteLevelVocabulary(tokens, merges().Merges, vocabulary.Specials);
    }
}
