using System.Text;

namespace Delora.Nn;

/// <summary>
/// A tokenizer as <c>tokenizer.json</c> describes it: added tokens are cut out of a text, the rest is normalized and cut into words, and a
/// model turns the words into ids. Source: <c>TokenizerImpl::encode</c> of HuggingFace's <c>tokenizers</c>.
/// </summary>
internal sealed class PipelineTokenizer : TextTokenizer
{
    private readonly TextNormalizer? _normalizer;
    private readonly WordSplitter _splitter;
    private readonly SubwordModel _model;
    private readonly AddedTokens? _raw, _normalized;

    /// <param name="added">Added tokens.</param>
    /// <param name="normalizer">Changes the text; null for nothing.</param>
    /// <param name="splitter">Cuts it into words.</param>
    /// <param name="model">Encodes them.</param>
    /// <param name="specials">The parts that special tokens play.</param>
    /// <param name="files">The files that <see cref="TextTokenizer.Save"/> writes.</param>
    public PipelineTokenizer(
        IReadOnlyList<AddedToken> added, TextNormalizer? normalizer, WordSplitter splitter, SubwordModel model, TokenizerSpecials specials,
        IReadOnlyDictionary<string, byte[]> files)
        : base(model.Tokens, specials, files)
    {
        (_normalizer, _splitter, _model) = (normalizer, splitter, model);
        _raw = Matcher(added.Where(token => !token.Normalized), text => text);
        _normalized = Matcher(added.Where(token => token.Normalized), text => normalizer?.Apply(text) ?? text);
    }

    public override string Description => $"{_model.Kind}, {VocabularySize} tokens";

    private protected override bool WordsBeginWithSpace => _model is ByteLevelModel;

    internal override bool StartsWithPrefix(int id) => _model.StripsSpace && BytesOf(id) is [(byte)' ', ..];

    private protected override void Encode(string text, bool parseSpecial, List<int> ids)
    {
        WordAction word = _model.Start(ids);
        text = WellFormed(text);
        foreach ((int start, int length, AddedToken? token) in Cut(_raw, text, parseSpecial))
        {
            if (token is not null)
            {
                ids.Add(token.Id);
                continue;
            }
            string part = length == text.Length ? text : text.Substring(start, length);
            if (_normalizer is not null) part = _normalizer.Apply(part);
            foreach ((int from, int count, AddedToken? other) in Cut(_normalized, part, parseSpecial))
                if (other is not null) ids.Add(other.Id);
                else _splitter.Split(part.AsSpan(from, count), isFirst: start == 0 && from == 0, word);
        }
    }

    private static AddedTokens? Matcher(IEnumerable<AddedToken> tokens, Func<string, string> normalize)
    {
        (string, AddedToken)[] found = [.. tokens.Select(token => (normalize(token.Content), token))];
        return found.Length > 0 ? new AddedTokens(found) : null;
    }

    private static IEnumerable<(int Start, int Length, AddedToken? Token)> Cut(AddedTokens? tokens, string text, bool parseSpecial) =>
        tokens is not null ? tokens.Split(text, parseSpecial) : text.Length > 0 ? [(0, text.Length, null)] : [];

    /// <summary>U+FFFD for each half of a character that stands alone.</summary>
    private static string WellFormed(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF')) return text;
        var result = new StringBuilder(text.Length);
        Span<char> two = stackalloc char[2];
        foreach (Rune rune in text.EnumerateRunes()) result.Append(two[..rune.EncodeToUtf16(two)]);
        return result.ToString();
    }
}
