namespace Delora.Nn;

/// <summary>A vocabulary's special tokens and the parts that they play.</summary>
internal sealed record TokenizerSpecials(IReadOnlyDictionary<string, int> Ids, int? BeginId, int? EndId, bool AddsBegin)
{
    /// <summary>
    /// What <c>tokenizer_config.json</c> says, where there is one; <paramref name="beginId"/> and <paramref name="endId"/> are what the
    /// vocabulary itself says, and count where it is silent.
    /// </summary>
    /// <param name="files">The tokenizer's files.</param>
    /// <param name="ids">The special tokens.</param>
    /// <param name="beginId">The begin token.</param>
    /// <param name="endId">The end token.</param>
    /// <param name="addsBegin">Whether the begin token is added where the file does not say.</param>
    /// <param name="prefixesSpace">Whether the vocabulary's own rule puts a space before a text.</param>
    public static TokenizerSpecials Read(
        TokenizerFiles files, IReadOnlyDictionary<string, int> ids, int? beginId, int? endId, bool addsBegin, bool prefixesSpace)
    {
        if (files.Fields(TokenizerFiles.Config) is { } config)
        {
            beginId = IdOf("bos_token") ?? beginId;
            endId = IdOf("eos_token") ?? endId;
            addsBegin = config.Flag("add_bos_token", addsBegin);
            if (config.Flag("add_prefix_space", prefixesSpace) != prefixesSpace)
                throw config.Wrong("add_prefix_space",
                    $"contradicts the vocabulary, whose own rule is {(prefixesSpace ? "true" : "false")}.");

            int? IdOf(string field)
            {
                if (TokenizerFiles.TokenName(config, field) is not { } name) return null;
                return ids.TryGetValue(name, out int id)
                    ? id
                    : throw config.Wrong(field, $"'{name}' is no special token of the vocabulary: {string.Join(", ", ids.Keys.Take(10))}.");
            }
        }
        return new TokenizerSpecials(ids, beginId, endId, addsBegin && beginId is not null);
    }
}
