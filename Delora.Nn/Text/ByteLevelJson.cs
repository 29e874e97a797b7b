using System.Text.Json;

namespace Delora.Nn;

/// <summary>Writes <c>tokenizer.json</c> of a byte-level BPE as GPT-2's.</summary>
internal static class ByteLevelJson
{
    /// <summary>The file, as HuggingFace's library writes it.</summary>
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
}
