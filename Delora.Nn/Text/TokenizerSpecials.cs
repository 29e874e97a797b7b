using System.Text.Json;

namespace Delora.Nn;

/// <summary>A vocabulary's special tokens and the parts that they play.</summary>
internal sealed record TokenizerSpecials(IReadOnlyDictionary<string, int> Ids, int? BeginId, int? EndId, bool AddsBegin)
{
    /// <summary>The token that fills a row up (<c>pad_token</c>); null where there is none.</summary>
    public int? PadId { get; init; }

    /// <summary><c>padding_side</c>: whether rows should be filled up at the left. Reported only; see <see cref="TextTokenizer.PadsLeft"/>.</summary>
    public bool PadsLeft { get; init; }

    /// <summary><c>truncation_side</c>: whether texts that are too long lose their beginnings.</summary>
    public bool TruncatesLeft { get; init; }

    /// <summary>Where the special tokens stand around texts.</summary>
    public required TokenTemplate Template { get; init; }

    /// <summary>
    /// What <c>tokenizer_config.json</c> says, where there is one, else <c>special_tokens_map.json</c>, else the vocabulary itself; null in
    /// a file is no silence, but no such token.
    /// </summary>
    /// <param name="files">The tokenizer's files.</param>
    /// <param name="rules">What the vocabulary's own files say.</param>
    /// <param name="warn">Told what is ignored.</param>
    /// <exception cref="Delora.Core.DeloraFormatException">
    /// A token is not in the vocabulary, or a setting contradicts the vocabulary's own rules.
    /// </exception>
    public static TokenizerSpecials Read(TokenizerFiles files, TokenizerRules rules, Action<string>? warn)
    {
        JsonFields? config = files.Fields(TokenizerFiles.Config), map = files.Fields(TokenizerFiles.Map);
        int? templated = rules.Template?.Single[0] is { Kind: TemplatePartKind.Special } part ? part.Id : null;
        // A folder without any word about roles: what stands before a text is its begin token.
        int? beginId = IdOf("bos_token", rules.BeginId ?? (config is null && map is null ? templated : null));
        int? endId = IdOf("eos_token", rules.EndId);
        int? padId = IdOf("pad_token", rules.PadId);
        bool isTemplated = beginId is not null && beginId == templated;
        bool? saysBegin = config?.Left.GetValueOrDefault("add_bos_token").ValueKind is JsonValueKind.Undefined or JsonValueKind.Null
            ? null
            : config?.Flag("add_bos_token", false);
        if (saysBegin == true && beginId is null)
            throw config!.Wrong("add_bos_token", "true is not possible: there is no bos_token.");
        if (saysBegin == false && isTemplated)
            throw config!.Wrong("add_bos_token", "contradicts the post_processor of tokenizer.json, which adds the begin token.");
        bool addsBegin = beginId is not null && (saysBegin ?? (isTemplated || (rules.Template is null && rules.AddsBegin)));
        bool addsEnd = config?.Flag("add_eos_token", false) == true;
        if (addsEnd && endId is null) throw config!.Wrong("add_eos_token", "true is not possible: there is no eos_token.");
        if (addsEnd)
            warn?.Invoke(
                $"{files.PathOf(TokenizerFiles.Config)}: add_eos_token holds for texts that are classified; of the texts that a language model "
                + "reads, those that are trained on get the end token, and no others.");
        CheckRules(config, rules);
        return new TokenizerSpecials(rules.Specials, beginId, endId, addsBegin)
        {
            PadId = padId,
            PadsLeft = Side("padding_side"),
            TruncatesLeft = Side("truncation_side"),
            Template = rules.Template is { } template && addsBegin == isTemplated && (!addsEnd || EndsWith(template, endId))
                ? template
                : TokenTemplate.Around(addsBegin ? beginId : null, addsEnd ? endId : null),
        };

        int? IdOf(string field, int? otherwise)
        {
            JsonFields? source = config?.Left.ContainsKey(field) == true ? config : map?.Left.ContainsKey(field) == true ? map : null;
            if (source is null) return otherwise;
            if (TokenizerFiles.TokenName(source, field) is not { } name) return null;
            return rules.Specials.TryGetValue(name, out int id)
                ? id
                : throw source.Wrong(field,
                    $"'{name}' is no special token of the vocabulary: {string.Join(", ", rules.Specials.Keys.Take(10))}.");
        }

        bool Side(string field) => config?.Text(field, null) switch
        {
            null or "right" => false,
            "left" => true,
            { } side => throw config.Wrong(field, $"must be left or right, not '{side}'."),
        };
    }

    /// <summary>Refuses settings that would change ids and are not what the vocabulary's own files say.</summary>
    private static void CheckRules(JsonFields? config, TokenizerRules rules)
    {
        if (config is null) return;
        if (config.Flag("add_prefix_space", rules.PrefixesSpace) != rules.PrefixesSpace)
            throw config.Wrong("add_prefix_space",
                $"contradicts the vocabulary, whose own rule is {(rules.PrefixesSpace ? "true" : "false")}.");
        if (config.Flag("do_lower_case", rules.Lowercases) != rules.Lowercases)
            throw config.Wrong("do_lower_case", rules.Lowercases
                ? "false contradicts the vocabulary's own rule, which makes small letters."
                : "true is not supported: the vocabulary has no such rule of its own.");
        if (config.Object("sp_model_kwargs") is { } sampling && sampling.Flag("enable_sampling", false))
            throw sampling.Wrong("enable_sampling", "true is not supported: ids would be random.");
    }

    private static bool EndsWith(TokenTemplate template, int? id) =>
        template.Single[^1] is { Kind: TemplatePartKind.Special } last && last.Id == id;
}

/// <summary>What the files of a vocabulary say of its special tokens and rules, before <c>tokenizer_config.json</c> is read.</summary>
/// <param name="Specials">The special tokens.</param>
internal sealed record TokenizerRules(IReadOnlyDictionary<string, int> Specials)
{
    public int? BeginId { get; init; }

    public int? EndId { get; init; }

    public int? PadId { get; init; }

    /// <summary>Whether the begin token is added where no file says.</summary>
    public bool AddsBegin { get; init; }

    /// <summary>Whether the vocabulary's own rule puts a space before a text.</summary>
    public bool PrefixesSpace { get; init; }

    /// <summary>Whether the vocabulary's own rule makes small letters.</summary>
    public bool Lowercases { get; init; }

    /// <summary>What the post-processor adds; null where there is none.</summary>
    public TokenTemplate? Template { get; init; }
}
