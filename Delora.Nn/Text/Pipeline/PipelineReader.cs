using System.Text.Json;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// Reads <c>tokenizer.json</c> of HuggingFace's tokenizers, and the older files that say the same. Every component that would change ids and
/// is not understood is refused by name.
/// </summary>
internal static class PipelineReader
{
    /// <exception cref="DeloraFormatException">A part is wrong or not supported.</exception>
    public static PipelineTokenizer ReadJson(TokenizerFiles files, Action<string>? warn)
    {
        string file = files.PathOf(TokenizerFiles.Json);
        JsonFields json = files.Fields(TokenizerFiles.Json)!;
        json.Text("version", null);
        foreach (string field in (string[])["truncation", "padding"])
            if (json.TryTake(field, out _))
                warn?.Invoke($"{file}: {field} is ignored.");
        AddedToken[] added = ReadAdded(json);
        TextNormalizer? normalizer = TextNormalizer.Read(json, "normalizer");
        foreach (AddedToken token in added)
            if (token.Normalized && normalizer?.Apply(token.Content) == "")
                throw json.Wrong("added_tokens", $"'{token.Content}' is nothing when it is normalized.");
        SplitterReader splitter = SplitterReader.Read(json, "pre_tokenizer");
        JsonFields model = json.Object("model") ?? throw json.Wrong("model", "is missing.");
        // Files of the first years, as GPT-2's own, have no type; that it is BPE shows in its merges.
        (SubwordModel subwords, VocabularyTable vocabulary) = model.Text("type", null) switch
        {
            null or "BPE" => ReadBpe(json, model, splitter, added),
            "WordPiece" => ReadWordPiece(json, model, splitter, added),
            { } type => throw model.Wrong("type", $"{type} is not supported; BPE and WordPiece are."),
        };
        model.RefuseLeft();
        int? endOfText = Find(vocabulary, BpeTrainer.EndOfText);
        var rules = new TokenizerRules(vocabulary.Specials)
        {
            BeginId = endOfText,
            EndId = endOfText,
            PadId = Find(vocabulary, "[PAD]") ?? Find(vocabulary, "<pad>"),
            PrefixesSpace = splitter.PrefixesSpace || normalizer?.Prefix.Length > 0,
            Lowercases = normalizer?.Lowercases == true,
            Template = TemplateReader.Read(json, "post_processor", vocabulary.Specials),
        };
        json.RefuseLeft();
        files.WarnOfAddedTokens(vocabulary.Names.Length, warn);
        return new PipelineTokenizer(
            added, normalizer, splitter.Splitter, subwords, TokenizerSpecials.Read(files, rules, warn), files.All);
    }

    /// <summary>The id of a special token; null where there is none of that name.</summary>
    public static int? Find(VocabularyTable vocabulary, string name) => vocabulary.Specials.TryGetValue(name, out int id) ? id : null;

    private static AddedToken[] ReadAdded(JsonFields json)
    {
        Dictionary<string, AddedToken> added = new(StringComparer.Ordinal);
        foreach (JsonFields token in json.Objects("added_tokens"))
        {
            string name = token.Text("content", null) is { Length: > 0 } text ? text : throw token.Wrong("content", "is missing or empty.");
            bool special = token.Flag("special", false);
            var read = new AddedToken(name, token.Integer("id", -1), special, token.Flag("single_word", false), token.Flag("lstrip", false),
                token.Flag("rstrip", false), token.Flag("normalized", !special));
            token.RefuseLeft();
            if (!added.TryAdd(name, read)) throw token.Wrong("content", $"'{name}' is there twice.");
        }
        return [.. added.Values];
    }

    private static (SubwordModel Model, VocabularyTable Vocabulary) ReadBpe(
        JsonFields json, JsonFields model, SplitterReader splitter, AddedToken[] added)
    {
        if (model.TryTake("dropout", out JsonElement dropout) && !(dropout.ValueKind == JsonValueKind.Number && dropout.GetDouble() == 0))
            throw model.Wrong("dropout", $"is not supported ({JsonFields.Describe(dropout)}).");
        // All bytes have tokens, so nothing is unknown.
        model.Text("unk_token", null);
        model.Flag("fuse_unk", false);
        foreach (string field in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
            if (model.Text(field, null) is { Length: > 0 } affix)
                throw model.Wrong(field, $"'{affix}' is not supported.");
        bool fallsBack = model.Flag("byte_fallback", false), ignoresMerges = model.Flag("ignore_merges", false);
        var vocabulary = VocabularyTable.Read(model, "vocab", added);
        if (splitter.IsByteLevel)
        {
            if (fallsBack) throw model.Wrong("byte_fallback", "true is not supported with the pre_tokenizer ByteLevel.");
            DecoderReader.RequireByteLevel(json);
            return (new ByteLevelModel(ByteLevelVocabulary.Of(vocabulary, () => MergeReader.Read(model, vocabulary)), ignoresMerges), vocabulary);
        }
        if (!fallsBack)
            throw json.Wrong("pre_tokenizer", "is not supported for BPE: it must end with ByteLevel, or model.byte_fallback must be true.");
        if (ignoresMerges) throw model.Wrong("ignore_merges", "true is not supported with byte_fallback.");
        return (new CharacterBpeModel(vocabulary, MergeReader.Read(model, vocabulary).Merges, DecoderReader.ReadByteFallback(json)), vocabulary);
    }

    private static (SubwordModel Model, VocabularyTable Vocabulary) ReadWordPiece(
        JsonFields json, JsonFields model, SplitterReader splitter, AddedToken[] added)
    {
        if (splitter.IsByteLevel) throw json.Wrong("pre_tokenizer", "ByteLevel is not supported for WordPiece.");
        string prefix = model.Text("continuing_subword_prefix", "##"), unknown = model.Text("unk_token", "[UNK]");
        if (prefix.Length == 0) throw model.Wrong("continuing_subword_prefix", "must not be empty.");
        int longest = model.Integer("max_input_chars_per_word", 100);
        if (longest < 1) throw model.Wrong("max_input_chars_per_word", $"must be at least 1, not {longest}.");
        var vocabulary = VocabularyTable.Read(model, "vocab", added);
        DecoderReader.RequireWordPiece(json, prefix);
        return (new WordPieceModel(vocabulary, vocabulary.Ids.TryGetValue(unknown, out int id)
            ? id
            : throw model.Wrong("unk_token", $"'{unknown}' is not in the vocabulary."), prefix, longest), vocabulary);
    }
}
