using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// Checks that the <c>decoder</c> of <c>tokenizer.json</c> makes of tokens what <see cref="TextTokenizer.Decode"/> makes, but for one thing:
/// WordPiece's <c>cleanup</c>, which takes the spaces before signs away, is read and not applied.
/// </summary>
internal static class DecoderReader
{
    private const string Field = "decoder";

    /// <exception cref="DeloraFormatException">It is another one.</exception>
    public static void RequireByteLevel(JsonFields json)
    {
        JsonFields decoder = json.Object(Field) ?? throw json.Wrong(Field, "is missing; ByteLevel is needed.");
        string? type = decoder.Text("type", null);
        if (type != "ByteLevel") throw decoder.Wrong("type", $"{type ?? "missing"} is not supported for byte-level BPE; ByteLevel is.");
        foreach (string field in (string[])["add_prefix_space", "trim_offsets", "use_regex"]) decoder.Flag(field, true);
        decoder.RefuseLeft();
    }

    /// <exception cref="DeloraFormatException">It is another one.</exception>
    public static void RequireWordPiece(JsonFields json, string prefix)
    {
        if (json.Object(Field) is not { } decoder) return;
        string? type = decoder.Text("type", null);
        if (type != "WordPiece") throw decoder.Wrong("type", $"{type ?? "missing"} is not supported for WordPiece; WordPiece is.");
        if (decoder.Text("prefix", prefix) != prefix) throw decoder.Wrong("prefix", $"must be the model's, '{prefix}'.");
        decoder.Flag("cleanup", true);
        decoder.RefuseLeft();
    }

    /// <summary>The decoder of BPE with byte fallback: visible spaces become spaces, byte tokens bytes.</summary>
    /// <returns>Whether a text's first space is left out.</returns>
    /// <exception cref="DeloraFormatException">It is another one.</exception>
    public static bool ReadByteFallback(JsonFields json)
    {
        JsonFields decoder = json.Object(Field) ?? throw json.Wrong(Field, "is missing; a Sequence with ByteFallback is needed.");
        string? type = decoder.Text("type", null);
        if (type != "Sequence") throw decoder.Wrong("type", $"{type ?? "missing"} is not supported for byte_fallback; Sequence is.");
        bool replaces = false, fallsBack = false, strips = false;
        foreach (JsonFields one in decoder.Objects("decoders"))
        {
            switch (one.Text("type", null))
            {
                case "Replace":
                    JsonFields pattern = one.Object("pattern") ?? throw one.Wrong("pattern", "is missing.");
                    if (pattern.Text("String", null) != "\u2581" || one.Text("content", null) != " ")
                        throw one.Wrong("pattern", "is not supported: only U+2581 may be replaced, by a space.");
                    pattern.RefuseLeft();
                    replaces = true;
                    break;
                case "ByteFallback":
                    fallsBack = true;
                    break;
                case "Fuse":
                    break;
                case "Strip":
                    if (one.Text("content", null) != " " || one.Integer("start", 0) != 1 || one.Integer("stop", 0) != 0)
                        throw one.Wrong("content", "is not supported: only one space may be stripped, at the start.");
                    strips = true;
                    break;
                case var other:
                    throw one.Wrong("type", $"{other ?? "missing"} is not supported.");
            }
            one.RefuseLeft();
        }
        decoder.RefuseLeft();
        return replaces && fallsBack ? strips : throw decoder.Wrong("decoders", "must have Replace and ByteFallback.");
    }
}
