using System.Text.Json;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Takes the merges of a BPE vocabulary and checks each: all three tokens are there, and none of them is special.</summary>
internal sealed class MergeReader(VocabularyTable vocabulary, Func<string, string, DeloraFormatException> wrong)
{
    private readonly List<(int Left, int Right, int Id)> _merges = [];
    private readonly HashSet<(int, int)> _pairs = [];

    /// <summary>Left, right and merged id, the first merge first.</summary>
    public IReadOnlyList<(int Left, int Right, int Id)> Merges => _merges;

    /// <summary>Reads <c>model.merges</c>: each is "left right", or a list of the two.</summary>
    public static MergeReader Read(JsonFields model, VocabularyTable vocabulary)
    {
        if (!model.TryTake("merges", out JsonElement merges) || merges.ValueKind != JsonValueKind.Array)
            throw model.Wrong("merges", "must be a list.");
        var reader = new MergeReader(vocabulary, model.Wrong);
        foreach (JsonElement merge in merges.EnumerateArray())
        {
            string field = $"merges[{reader._merges.Count}]";
            string[] parts = merge.ValueKind switch
            {
                JsonValueKind.String => model.Text(field, merge).Split(' '),
                JsonValueKind.Array => [.. merge.EnumerateArray().Select(part => model.Text(field, part))],
                _ => [],
            };
            reader.Add(field, parts, JsonFields.Describe(merge));
        }
        return reader;
    }

    /// <summary>Adds a merge.</summary>
    /// <param name="field">Where it stands.</param>
    /// <param name="parts">The two tokens.</param>
    /// <param name="shown">What stands there.</param>
    public void Add(string field, string[] parts, string shown)
    {
        if (parts.Length != 2) throw wrong(field, $"must be two tokens, not {shown}.");
        int left = Find(parts[0]), right = Find(parts[1]), id = Find(parts[0] + parts[1]);
        if (!_pairs.Add((left, right))) throw wrong(field, $"'{parts[0]}' and '{parts[1]}' are merged before.");
        _merges.Add((left, right, id));

        int Find(string token) => vocabulary.Ids.TryGetValue(token, out int found)
            ? !vocabulary.Specials.ContainsKey(token) ? found : throw wrong(field, $"'{token}' is a special token: text would become it.")
            : throw wrong(field, $"'{token}' is not in the vocabulary.");
    }
}
