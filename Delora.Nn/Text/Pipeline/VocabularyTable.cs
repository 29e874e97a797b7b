using System.Text.Json;
using Delora.Core;

namespace Delora.Nn;

/// <summary>The tokens of a vocabulary file and the added ones, checked: each id from 0 on belongs to one token.</summary>
internal sealed class VocabularyTable
{
    private readonly Func<string, DeloraFormatException> _wrong;

    /// <summary>Takes the tokens of a vocabulary.</summary>
    /// <param name="ids">Texts and ids.</param>
    /// <param name="added">Tokens beside it; those that are in it as well have the same id there.</param>
    /// <param name="wrong">Makes the error for a reason.</param>
    /// <exception cref="DeloraFormatException">Ids are negative, there twice, or have holes.</exception>
    public VocabularyTable(Dictionary<string, int> ids, IReadOnlyList<AddedToken> added, Func<string, DeloraFormatException> wrong)
    {
        (Ids, Added, _wrong) = (ids, added, wrong);
        foreach (AddedToken token in added)
            if (!ids.TryAdd(token.Content, token.Id) && ids[token.Content] != token.Id)
                throw Token(token.Content, $"has the id {ids[token.Content]} here and {token.Id} in added_tokens");
        Specials = added.Where(token => token.Special).ToDictionary(token => token.Content, token => token.Id, StringComparer.Ordinal);
        Names = new string[ids.Count];
        foreach ((string name, int id) in ids)
        {
            if (id < 0) throw Token(name, $"has the negative id {id}");
            if (id >= Names.Length)
                throw Token(name, $"has the id {id}, too large: {Names.Length} tokens have the ids 0 to {Names.Length - 1}");
            if (Names[id] is not null) throw Token(name, $"has the id {id}, which another token has");
            Names[id] = name;
        }
    }

    /// <summary>Id of each text.</summary>
    public Dictionary<string, int> Ids { get; }

    /// <summary>Text of each id.</summary>
    public string[] Names { get; }

    public IReadOnlyList<AddedToken> Added { get; }

    public Dictionary<string, int> Specials { get; }

    /// <summary>Reads an object of texts and ids.</summary>
    public static VocabularyTable Read(JsonFields model, string field, IReadOnlyList<AddedToken> added)
    {
        if (!model.TryTake(field, out JsonElement vocabulary) || vocabulary.ValueKind != JsonValueKind.Object)
            throw model.Wrong(field, "must be an object of tokens and their ids.");
        return Read(vocabulary.EnumerateObject().Select(token => KeyValuePair.Create(token.Name, token.Value)), added,
            reason => model.Wrong(field, reason));
    }

    /// <summary>Reads texts and ids.</summary>
    public static VocabularyTable Read(
        IEnumerable<KeyValuePair<string, JsonElement>> vocabulary, IReadOnlyList<AddedToken> added, Func<string, DeloraFormatException> wrong)
    {
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach ((string name, JsonElement value) in vocabulary)
            ids.Add(name, value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int id)
                ? id
                : throw wrong($"'{Short(name)}' has the id {JsonFields.Describe(value)}, which is no whole number of 32 bits."));
        return new VocabularyTable(ids, added, wrong);
    }

    /// <summary>The bytes of each token; none for a special one.</summary>
    /// <param name="bytesOf">The bytes of an id and its text; null for what the vocabulary can't hold.</param>
    /// <param name="reason">Why it can't.</param>
    public byte[][] Bytes(Func<string, byte[]?> bytesOf, string reason) =>
        [.. Names.Select(name => Specials.ContainsKey(name) ? [] : bytesOf(name) ?? throw Token(name, reason))];

    /// <summary>The error about a token.</summary>
    public DeloraFormatException Token(string name, string reason) => _wrong($"'{Short(name)}' {reason}.");

    /// <summary>The error about the vocabulary.</summary>
    public DeloraFormatException Wrong(string reason) => _wrong(reason);

    private static string Short(string name) => name.Length <= 60 ? name : name[..57] + "...";
}
