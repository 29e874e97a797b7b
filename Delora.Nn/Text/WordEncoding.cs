using System.Collections.Immutable;

namespace Delora.Nn;

/// <summary>Words as a model with special tokens takes them, and which token belongs to which word.</summary>
/// <param name="Text">The tokens, special ones included.</param>
/// <param name="Words">For each token the number of its word, −1 for special tokens: <c>word_ids()</c>.</param>
/// <param name="Count">How many words were given.</param>
/// <param name="Cut">Whether words were left out because of the length.</param>
public sealed record WordEncoding(EncodedText Text, ImmutableArray<int> Words, int Count, bool Cut)
{
    /// <summary>How many words the tokenizer makes nothing of, such as an empty one.</summary>
    public int WithoutTokens { get; init; }

    /// <summary>What a word has is what its first token has.</summary>
    /// <param name="ofTokens">Something for each token.</param>
    /// <returns>For each word the value of its first token; null where it was cut, or has no token.</returns>
    public T?[] OfWords<T>(IReadOnlyList<T> ofTokens) where T : struct
    {
        var values = new T?[Count];
        for (int i = 0; i < Words.Length; i++)
            if (Words[i] >= 0) values[Words[i]] ??= ofTokens[i];
        return values;
    }
}
