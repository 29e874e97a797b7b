namespace Delora.Nn;

/// <summary>A vocabulary's special tokens and the parts that they play.</summary>
internal sealed record TokenizerSpecials(IReadOnlyDictionary<string, int> Ids, int? BeginId, int? EndId, bool AddsBegin)
{
    /// <summary>
    /// What <c>tokenizer_config.json</c> says, where there is one; <paramref name="beginId"/> and <paramref name="endId"/> are what the
    /// vocabulary itself says, and count where it is silent; null there is no silence, but no such token.
    /// </summary>
    /// <param name="files">The tokenizer's files.</param>
    /// <param name="ids">The special tokens.</param>
    /// <param name="beginId">The begin token.</param>
    /// <param name="endId">The end token.</param>
    /// <param name="addsBegin">Whether the begin token is added where the file does not say.</param>
    /// <param name="prefixesSpace">Whether the vocabulary's own rule puts a space before a text.</param>
    /// <param name="warn">Told what is ignored.</param>
    public static TokenizerSpecials Read(
        TokenizerFiles files, IReadOnlyDictionary<string, int> ids, int? beginId, int? endId, bool addsBegin, bool prefixesSpace,
        Action<string>? warn)
    {
        if (files.Fields(TokenizerFiles.Config) is { } config)
        {
            beginId = IdOf("bos_token", beginId);
            endId = IdOf("eos_token", endId);
            addsBegin = config.Flag("add_bos_token", addsBegin);
            if (config.Flag("add_prefix_space", prefixesSpace) != prefixesSpace)
                throw config.Wrong("add_prefix_space",
                    $"contradicts the vocabulary, whose own rule is {(prefixesSpace ? "true" : "false")}.");

            if (config.Flag("do_lower_case", false)) throw config.Wrong("do_lower_case", "true is not supported.");
            if (config.Object("sp_model_kwargs") is { } sampling && sampling.Flag("enable_sampling", false))
                throw sampling.Wrong("enable_sampling", "true is not supported: ids would be random.");
            if (config.Flag("add_eos_token", false))
                warn?.Invoke($"{files.PathOf(TokenizerFiles.Config)}: add_eos_token is ignored: training texts alone get the end token.");

            int? IdOf(string field, int? otherwise)
            {
                if (!config.Left.ContainsKey(field)) return otherwise;
                if (TokenizerFiles.TokenName(config, field) is not { } name) return null;
                return ids.TryGetValue(name, out int id)
                    ? id
                    : throw config.Wrong(field, $"'{name}' is no special token of the vocabulary: {string.Join(", ", ids.Keys.Take(10))}.");
            }
        }
        return new TokenizerSpecials(ids, beginId, endId, addsBegin && beginId is not null);
    }
}
