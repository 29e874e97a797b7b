using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// The fields of a JSON object that came from a file: each is taken once, with its type checked and the default where it is absent;
/// every error names the file and the field.
/// </summary>
internal sealed class JsonFields
{
    /// <summary>No configuration comes near it; a longer file is something else.</summary>
    private const int MaxBytes = 64 << 20;

    private readonly Dictionary<string, JsonElement> _left;
    private readonly string _file;
    private readonly string? _place;
    private readonly string _prefix;

    private JsonFields(string file, string? place, string prefix, JsonElement fields)
    {
        _file = file;
        _place = place;
        _prefix = prefix;
        _left = fields.EnumerateObject().ToDictionary(property => property.Name, property => property.Value);
    }

    /// <summary>What nobody has taken.</summary>
    public IReadOnlyDictionary<string, JsonElement> Left => _left;

    /// <summary>Reads a regular file that holds one JSON object.</summary>
    /// <exception cref="DeloraFormatException">It is not there, not readable, not a regular file, or not such JSON.</exception>
    public static JsonFields Load(string path) => Parse(RegularFile.ReadAll(path, MaxBytes), path);

    /// <summary>Reads one JSON object: UTF-8, a byte order mark allowed, no property twice, at most 64 levels deep.</summary>
    /// <param name="json">The text.</param>
    /// <param name="file">The file that errors name.</param>
    /// <param name="place">Where in the file it stands, for instance "line 57"; null where it is the whole file.</param>
    public static JsonFields Parse(ReadOnlyMemory<byte> json, string file, string? place = null)
    {
        StrictUtf8.Check(json.Span, file, place);
        if (json.Span.StartsWith("\uFEFF"u8)) json = json[3..];
        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 64, AllowDuplicateProperties = false });
            if (json.Span.IndexOf("\\ud"u8) >= 0 || json.Span.IndexOf("\\uD"u8) >= 0) CheckTexts(document.RootElement, file, place, ": ");
            return Of(document.RootElement.Clone(), file, place, place is null ? "" : $"{place}: ", "holds");
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: a name that holds a lone surrogate.
            throw new DeloraFormatException(file, place, $"is not valid JSON: {error.Message}", error);
        }
    }

    /// <summary>Takes an object; null where it is absent or null.</summary>
    public JsonFields? Object(string field) => TryTake(field, out JsonElement value) ? Object(field, value) : null;

    /// <summary>An object that lies inside: a field's value, or an item of a list.</summary>
    public JsonFields Object(string field, JsonElement value) =>
        Of(value, _file, _prefix + field, $"{_prefix}{field}.", "is");

    /// <summary>Takes a list of objects; none where it is absent or null.</summary>
    public IEnumerable<JsonFields> Objects(string field)
    {
        if (!TryTake(field, out JsonElement list)) return [];
        if (list.ValueKind != JsonValueKind.Array) throw Wrong(field, $"must be a list, not {Describe(list)}.");
        return list.EnumerateArray().Select((item, index) => Object($"{field}[{index}]", item));
    }

    /// <summary>Refuses what nobody has taken: it would change results in silence.</summary>
    /// <exception cref="DeloraFormatException">Names the first field that is left.</exception>
    public void RefuseLeft()
    {
        foreach ((string field, JsonElement value) in _left)
            throw Wrong(field, $"is not supported ({Describe(value)}).");
    }

    /// <summary>An error about one field.</summary>
    public DeloraFormatException Wrong(string field, string reason) => new(_file, _prefix + field, reason);

    /// <summary>An error about the whole object.</summary>
    public DeloraFormatException Wrong(string reason) => new(_file, _place, reason);

    /// <summary>Takes a field; false where it is absent or null.</summary>
    public bool TryTake(string field, out JsonElement value) =>
        _left.Remove(field, out value) && value.ValueKind != JsonValueKind.Null;

    /// <summary>Takes a text.</summary>
    [return: NotNullIfNotNull(nameof(otherwise))]
    public string? Text(string field, string? otherwise)
    {
        return TryTake(field, out JsonElement value) ? Text(field, value) : otherwise;
    }

    /// <summary>Takes true or false.</summary>
    public bool Flag(string field, bool otherwise)
    {
        if (!TryTake(field, out JsonElement value)) return otherwise;
        return value.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? value.GetBoolean()
            : throw Wrong(field, $"must be true or false, not {Describe(value)}.");
    }

    /// <summary>Takes a whole number of 32 bits. Null is refused: there is no rank null.</summary>
    public int Integer(string field, int otherwise) => TakeNumber(field, out JsonElement value) ? Integer(field, value) : otherwise;

    /// <summary>Takes a whole number of 32 bits; null where it is absent or null.</summary>
    public int? OptionalInteger(string field) => TryTake(field, out JsonElement value) ? Integer(field, value) : null;

    /// <summary>Takes a finite number. Null is refused.</summary>
    public double Number(string field, double otherwise) => TakeNumber(field, out JsonElement value) ? Number(field, value) : otherwise;

    /// <summary>Takes a finite number; null where it is absent or null.</summary>
    public double? OptionalNumber(string field) => TryTake(field, out JsonElement value) ? Number(field, value) : null;

    /// <summary>Takes a list of texts, or one text as a list of one.</summary>
    public ImmutableArray<string>? Texts(string field)
    {
        if (!TryTake(field, out JsonElement value)) return null;
        if (value.ValueKind == JsonValueKind.String) return Text(field, value) is { Length: > 0 } text ? [text] : [];
        return TextList(field, value);
    }

    /// <summary>Takes a list of whole numbers, or one number as a list of one.</summary>
    public ImmutableArray<int>? Integers(string field)
    {
        if (!TryTake(field, out JsonElement value)) return null;
        if (value.ValueKind == JsonValueKind.Number) return [Integer(field, value)];
        if (value.ValueKind != JsonValueKind.Array) throw Wrong(field, $"must be a number or a list of numbers, not {Describe(value)}.");
        return [.. value.EnumerateArray().Select(item => Integer(field, item))];
    }

    /// <summary>Takes a selection of modules: a list of texts, or one text.</summary>
    public ModuleSelector? Selector(string field)
    {
        if (!TryTake(field, out JsonElement value)) return null;
        if (value.ValueKind == JsonValueKind.String) return Text(field, value);
        return ModuleSelector.Of(TextList(field, value).AsSpan());
    }

    /// <summary>Takes an object of whole numbers, in its order.</summary>
    public ImmutableArray<KeyValuePair<string, int>> IntegerPattern(string field) => Pattern(field, Integer);

    /// <summary>Takes an object of numbers, in its order.</summary>
    public ImmutableArray<KeyValuePair<string, double>> NumberPattern(string field) => Pattern(field, Number);

    /// <summary>What a reader of an error message sees of a value.</summary>
    public static string Describe(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.Null => "null",
        _ => value.GetRawText() is { Length: <= 60 } raw ? raw : value.GetRawText()[..57] + "...",
    };

    private ImmutableArray<KeyValuePair<string, T>> Pattern<T>(string field, Func<string, JsonElement, T> read)
    {
        if (!TryTake(field, out JsonElement value)) return [];
        if (value.ValueKind != JsonValueKind.Object) throw Wrong(field, $"must be an object of numbers, not {Describe(value)}.");
        return [.. value.EnumerateObject().Select(p => KeyValuePair.Create(p.Name, read($"{field}[\"{p.Name}\"]", p.Value)))];
    }

    private ImmutableArray<string> TextList(string field, JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Array) throw Wrong(field, $"must be a text or a list of texts, not {Describe(value)}.");
        return [.. value.EnumerateArray().Select(item =>
            item.ValueKind == JsonValueKind.String
                ? Text(field, item)
                : throw Wrong(field, $"must hold texts only, not {Describe(item)}."))];
    }

    private bool TakeNumber(string field, out JsonElement value)
    {
        if (!_left.Remove(field, out value)) return false;
        return value.ValueKind != JsonValueKind.Null ? true : throw Wrong(field, "must be a number, not null.");
    }

    private int Integer(string field, JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number)
            ? number
            : throw Wrong(field, $"must be a whole number of 32 bits, not {Describe(value)}.");

    private double Number(string field, JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Number) throw Wrong(field, $"must be a number, not {Describe(value)}.");
        // Out of range comes back as infinity or false, depending on the runtime's parser.
        return value.TryGetDouble(out double number) && double.IsFinite(number)
            ? number
            : throw Wrong(field, $"must be finite, not {Describe(value)}.");
    }

    /// <summary>The text that a value is.</summary>
    public string Text(string field, JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.String) throw Wrong(field, $"must be a text, not {Describe(value)}.");
        return value.GetString()!;
    }

    /// <summary>
    /// Refuses a lone surrogate in any text, also in one that is only kept and written again: JSON can spell it, and UTF-8 can't hold it.
    /// </summary>
    private static void CheckTexts(JsonElement value, string file, string? place, string separator)
    {
        try
        {
            if (value.ValueKind == JsonValueKind.String) value.GetString();
            else if (value.ValueKind == JsonValueKind.Array)
                foreach ((int index, JsonElement item) in value.EnumerateArray().Index())
                    CheckTexts(item, file, $"{place}[{index}]", ".");
            else if (value.ValueKind == JsonValueKind.Object)
                foreach (JsonProperty field in value.EnumerateObject())
                    CheckTexts(field.Value, file, place is null ? field.Name : place + separator + field.Name, ".");
        }
        catch (InvalidOperationException error)
        {
            throw new DeloraFormatException(file, place, "is not a valid text: it holds a lone surrogate.", error);
        }
    }

    private static JsonFields Of(JsonElement value, string file, string? place, string prefix, string verb)
    {
        if (value.ValueKind != JsonValueKind.Object)
            throw new DeloraFormatException(file, place, $"{verb} {Describe(value)}, not a JSON object.");
        return new JsonFields(file, place, prefix, value);
    }
}
