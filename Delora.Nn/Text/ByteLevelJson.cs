using System.Text;
using System.Text.Json;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// <c>tokenizer.json</c> of HuggingFace's tokenizers, for a byte-level BPE as GPT-2's. Every component that would change ids and is not
/// that of GPT-2 is refused by name.
/// </summary>
internal static class ByteLevelJson
{
    /// <exception cref="DeloraFormatException">A part is wrong or not supported.</exception>
    public static ByteLevelVocabulary Read(JsonFields json, string file, Action<string>? warn)
    {
        json.Text("version", null);
        foreach (string field in (string[])["truncation", "padding"])
            if (json.TryTake(field, out _))
                warn?.Invoke($"{file}: {field} is ignored.");
        if (json.TryTake("normalizer", out JsonElement normalizer))
            throw json.Wrong("normalizer", $"is not supported ({TypeOf(normalizer)}).");
        JsonFields splitter = Component(json, "pre_tokenizer");
        foreach ((string field, bool otherwise, bool wanted) in
            ((string, bool, bool)[])[("add_prefix_space", true, false), ("use_regex", true, true)])
            if (splitter.Flag(field, otherwise) != wanted)
                throw splitter.Wrong(field, $"must be {(wanted ? "true" : "false")}.");
        splitter.Flag("trim_offsets", true);
        splitter.RefuseLeft();
        Component(json, "decoder");
        // This one changes positions in the text, and no ids.
        if (json.Left.TryGetValue("post_processor", out JsonElement processor) && processor.ValueKind != JsonValueKind.Null)
            Component(json, "post_processor");
        json.TryTake("post_processor", out _);

        Dictionary<string, int> specials = ReadAdded(json);
        ByteLevelVocabulary vocabulary = ReadModel(json.Object("model") ?? throw json.Wrong("model", "is missing."), specials);
        json.RefuseLeft();
        return vocabulary;
    }

    /// <summary>Writes what <see cref="Read"/> reads, as HuggingFace's library writes it.</summary>
    public static byte[] Write(ByteLevelVocabulary vocabulary)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteString("version", "1.0");
            json.WriteNull("truncation");
            json.WriteNull("padding");
            json.WriteStartArray("added_tokens");
            foreach ((string name, int id) in vocabulary.Specials.OrderBy(special => special.Value))
            {
                json.WriteStartObject();
                json.WriteNumber("id", id);
                json.WriteString("content", name);
                foreach (string field in (string[])["single_word", "lstrip", "rstrip", "normalized"]) json.WriteBoolean(field, false);
                json.WriteBoolean("special", true);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteNull("normalizer");
            foreach (string field in (string[])["pre_tokenizer", "post_processor", "decoder"])
            {
                json.WriteStartObject(field);
                json.WriteString("type", "ByteLevel");
                json.WriteBoolean("add_prefix_space", false);
                json.WriteBoolean("trim_offsets", true);
                json.WriteBoolean("use_regex", true);
                json.WriteEndObject();
            }
            WriteModel(json, vocabulary);
            json.WriteEndObject();
        }
        return stream.ToArray();
    }

    private static void WriteModel(Utf8JsonWriter json, ByteLevelVocabulary vocabulary)
    {
        Dictionary<int, string> special = vocabulary.Specials.ToDictionary(entry => entry.Value, entry => entry.Key);
        string[] names = [.. vocabulary.Tokens.Select((bytes, id) => special.GetValueOrDefault(id) ?? ByteAlphabet.Spell(bytes))];
        json.WriteStartObject("model");
        json.WriteString("type", "BPE");
        foreach (string field in (string[])["dropout", "unk_token"]) json.WriteNull(field);
        foreach (string field in (string[])["continuing_subword_prefix", "end_of_word_suffix"]) json.WriteNull(field);
        foreach (string field in (string[])["fuse_unk", "byte_fallback", "ignore_merges"]) json.WriteBoolean(field, false);
        json.WriteStartObject("vocab");
        for (int id = 0; id < names.Length; id++) json.WriteNumber(names[id], id);
        json.WriteEndObject();
        json.WriteStartArray("merges");
        // Pairs as one text: libraries before 2024 know no other form, and no letter of the alphabet is a blank.
        foreach ((int left, int right, _) in vocabulary.Merges) json.WriteStringValue($"{names[left]} {names[right]}");
        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>A component that must be of the type ByteLevel.</summary>
    private static JsonFields Component(JsonFields json, string field)
    {
        JsonFields component = json.Object(field) ?? throw json.Wrong(field, "is missing; ByteLevel is needed.");
        string? type = component.Text("type", null);
        return type == "ByteLevel" ? component : throw json.Wrong(field, $"{type ?? "without a type"} is not supported; ByteLevel is.");
    }

    private static string TypeOf(JsonElement component) =>
        component.ValueKind == JsonValueKind.Object && component.TryGetProperty("type", out JsonElement type)
            ? JsonFields.Describe(type)
            : JsonFields.Describe(component);

    private static Dictionary<string, int> ReadAdded(JsonFields json)
    {
        Dictionary<string, int> added = [];
        if (!json.TryTake("added_tokens", out JsonElement list)) return added;
        if (list.ValueKind != JsonValueKind.Array) throw json.Wrong("added_tokens", $"must be a list, not {JsonFields.Describe(list)}.");
        foreach (JsonElement item in list.EnumerateArray())
        {
            JsonFields token = json.Object($"added_tokens[{added.Count}]", item);
            string name = token.Text("content", null) ?? throw token.Wrong("content", "is missing.");
            if (!token.Flag("special", false))
                throw token.Wrong("special", $"'{name}' must be true: plain text would be cut at it, which is not supported.");
            if (!added.TryAdd(name, token.Integer("id", -1))) throw token.Wrong("content", $"'{name}' is there twice.");
        }
        return added;
    }

    private static ByteLevelVocabulary ReadModel(JsonFields model, Dictionary<string, int> specials)
    {
        // Files of the first years, as GPT-2's own, have no type; that it is BPE shows in its merges.
        if (model.Text("type", null) is not (null or "BPE") and var type) throw model.Wrong("type", $"{type} is not supported; BPE is.");
        if (model.TryTake("dropout", out JsonElement dropout))
            throw model.Wrong("dropout", $"is not supported ({JsonFields.Describe(dropout)}).");
        // All bytes have tokens, so nothing is unknown.
        model.Text("unk_token", null);
        model.Flag("fuse_unk", false);
        foreach (string field in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
            if (model.Text(field, null) is { Length: > 0 } affix)
                throw model.Wrong(field, $"'{affix}' is not supported.");
        foreach (string field in (string[])["byte_fallback", "ignore_merges"])
            if (model.Flag(field, false))
                throw model.Wrong(field, "true is not supported.");

        var builder = new ByteLevelBuilder(model, specials);
        if (!model.TryTake("vocab", out JsonElement vocabulary) || vocabulary.ValueKind != JsonValueKind.Object)
            throw model.Wrong("vocab", "must be an object of tokens and their ids.");
        builder.AddTokens(vocabulary);
        if (!model.TryTake("merges", out JsonElement merges) || merges.ValueKind != JsonValueKind.Array)
            throw model.Wrong("merges", "must be a list.");
        foreach (JsonElement merge in merges.EnumerateArray()) builder.AddMerge(merge);
        model.RefuseLeft();
        return builder.Vocabulary;
    }
}
