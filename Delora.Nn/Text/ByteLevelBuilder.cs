using System.Text.Json;

namespace Delora.Nn;

/// <summary>Takes the tokens and merges of a <c>tokenizer.json</c> and checks each.</summary>
internal sealed class ByteLevelBuilder(JsonFields model, Dictionary<string, int> specials)
{
    private readonly Dictionary<string, int> _ids = [];
    private readonly List<(int Left, int Right, int Id)> _merges = [];
    private readonly HashSet<(int, int)> _pairs = [];
    private byte[][] _tokens = [];

    public ByteLevelVocabulary Vocabulary => new(_tokens, _merges, specials);

    public void AddTokens(JsonElement vocabulary)
    {
        foreach (JsonProperty token in vocabulary.EnumerateObject())
            _ids.Add(token.Name, token.Value.ValueKind == JsonValueKind.Number && token.Value.TryGetInt32(out int id)
                ? id
                : throw Token(token.Name, $"has the id {JsonFields.Describe(token.Value)}, which is no whole number of 32 bits"));
        foreach ((string name, int id) in specials)
            if (!_ids.TryAdd(name, id) && _ids[name] != id)
                throw Token(name, $"has the id {_ids[name]} here and {id} in added_tokens");

        _tokens = new byte[_ids.Count][];
        foreach ((string name, int id) in _ids)
        {
            if (id < 0) throw Token(name, $"has the negative id {id}");
            if (id >= _tokens.Length)
                throw Token(name, $"has the id {id}, too large: {_tokens.Length} tokens have the ids 0 to {_tokens.Length - 1}");
            if (_tokens[id] is not null) throw Token(name, $"has the id {id}, which another token has");
            if (specials.ContainsKey(name)) _tokens[id] = [];
            else if (name.Length > 0 && ByteAlphabet.Read(name) is { } bytes) _tokens[id] = bytes;
            else throw Token(name, "is not spelled in the byte-level alphabet");
        }
        for (int value = 0; value < 256; value++)
        {
            string letter = ByteAlphabet.Letter((byte)value).ToString();
            if (!_ids.TryGetValue(letter, out int id))
                throw model.Wrong("vocab", $"the token of byte 0x{value:X2}, '{letter}', is missing.");
            if (_tokens[id] is not [_]) throw Token(letter, $"is a special token, and byte 0x{value:X2} has no other");
        }
    }

    /// <summary>A merge: "left right", or a list of the two.</summary>
    public void AddMerge(JsonElement merge)
    {
        string field = $"merges[{_merges.Count}]";
        string[] parts = merge.ValueKind switch
        {
            JsonValueKind.String => model.Text(field, merge).Split(' '),
            JsonValueKind.Array => [.. merge.EnumerateArray().Select(part => model.Text(field, part))],
            _ => [],
        };
        if (parts.Length != 2) throw model.Wrong(field, $"must be two tokens, not {JsonFields.Describe(merge)}.");
        int left = Find(parts[0]), right = Find(parts[1]), id = Find(parts[0] + parts[1]);
        if (!_pairs.Add((left, right))) throw model.Wrong(field, $"'{parts[0]}' and '{parts[1]}' are merged before.");
        _merges.Add((left, right, id));

        int Find(string token) => _ids.TryGetValue(token, out int found)
            ? !specials.ContainsKey(token) ? found : throw model.Wrong(field, $"'{token}' is a special token: text would become it.")
            : throw model.Wrong(field, $"'{token}' is not in the vocabulary.");
    }

    private Exception Token(string name, string reason) =>
        model.Wrong("vocab", $"'{(name.Length <= 60 ? name : name[..57] + "...")}' {reason}.");
}
