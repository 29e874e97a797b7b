using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Delora.Core;

/// <summary>
/// The JSON header of a safetensors file: read in one pass that trusts nothing and stops at the first thing that is wrong.
/// </summary>
internal sealed class SafetensorsHeader
{
    internal const string MetadataName = "__metadata__";

    // Object of tensors, object of one tensor, array of dimensions; one more so that a nested value gets a reason of its own.
    private const int MaxDepth = 4;

    private readonly string _file;
    private readonly long _dataLength;
    private readonly Dictionary<string, SafetensorsEntry> _entries = [];
    private readonly Dictionary<string, string> _metadata = [];
    private long _claimed;

    private SafetensorsHeader(string file, long dataLength)
    {
        _file = file;
        _dataLength = dataLength;
    }

    internal IReadOnlyDictionary<string, SafetensorsEntry> Entries => _entries;

    internal IReadOnlyDictionary<string, string> Metadata => _metadata;

    /// <summary>The entries in the order of their bytes.</summary>
    internal SafetensorsEntry[] InFileOrder { get; private set; } = [];

    /// <summary>Reads and checks the whole header.</summary>
    /// <param name="file">Path, for messages.</param>
    /// <param name="json">The header's bytes.</param>
    /// <param name="dataLength">Bytes of the file after the header.</param>
    /// <exception cref="DeloraFormatException">Anything is not as the format says.</exception>
    internal static SafetensorsHeader Parse(string file, ReadOnlySpan<byte> json, long dataLength)
    {
        if (!Utf8.IsValid(json)) throw new DeloraFormatException(file, "header", "is not valid UTF-8");
        if (json.StartsWith(Encoding.UTF8.Preamble)) json = json[Encoding.UTF8.Preamble.Length..];
        var header = new SafetensorsHeader(file, dataLength);
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = MaxDepth });
            header.ReadTensors(ref reader);
            // Only white space may follow; the reader refuses anything else.
            while (reader.Read()) { }
        }
        catch (JsonException error)
        {
            throw new DeloraFormatException(file, "header", $"is not valid JSON: {error.Message}", error);
        }
        header.CheckRanges();
        return header;
    }

    /// <summary>A name from a file, fit for a message: quoted, control characters escaped, cut where it is very long.</summary>
    internal static string Quote(string name)
    {
        const int longest = 200;
        var text = new StringBuilder("'");
        foreach (char c in name.AsSpan(0, Math.Min(name.Length, longest)))
            if (char.IsControl(c)) text.Append($"\\u{(int)c:x4}");
            else text.Append(c);
        if (name.Length > longest) text.Append($"… ({name.Length} characters)");
        return text.Append('\'').ToString();
    }

    private void ReadTensors(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject) throw Bad("header", "must be a JSON object");
        bool hasMetadata = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = Text(ref reader, "header");
            reader.Read();
            if (name == MetadataName)
            {
                if (hasMetadata) throw Bad(MetadataName, "appears twice");
                hasMetadata = true;
                ReadMetadata(ref reader);
                continue;
            }
            SafetensorsEntry entry = ReadEntry(ref reader, name);
            if (!_entries.TryAdd(name, entry)) throw Bad(Quote(name), "appears twice");
            // Every byte belongs to exactly one tensor, so the sum alone shows an overlap, at once and before memory is spent on the rest.
            _claimed += entry.ByteLength;
            if (_claimed > _dataLength)
                throw Bad(Quote(name), $"the tensors up to this one hold more bytes than the file's data ({_dataLength}): they overlap");
        }
    }

    private void ReadMetadata(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject) throw Bad(MetadataName, "must be an object of strings");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string key = Text(ref reader, MetadataName);
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
                throw Bad(MetadataName, $"the value of {Quote(key)} must be a string, is {Kind(reader.TokenType)}");
            if (!_metadata.TryAdd(key, Text(ref reader, MetadataName))) throw Bad(MetadataName, $"{Quote(key)} appears twice");
        }
    }

    private SafetensorsEntry ReadEntry(ref Utf8JsonReader reader, string name)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
            throw Bad(Quote(name), $"must be an object with dtype, shape and data_offsets, is {Kind(reader.TokenType)}");
        SafetensorsDType? dtype = null;
        Shape? shape = null;
        (long Begin, long End)? range = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("dtype"))
                dtype = dtype is null ? ReadDType(ref reader, name) : throw Bad(Quote(name), "dtype appears twice");
            else if (reader.ValueTextEquals("shape"))
                shape = shape is null ? ReadShape(ref reader, name) : throw Bad(Quote(name), "shape appears twice");
            else if (reader.ValueTextEquals("data_offsets"))
                range = range is null ? ReadRange(ref reader, name) : throw Bad(Quote(name), "data_offsets appears twice");
            else
                throw Bad(Quote(name), $"has the unknown property {Quote(Text(ref reader, "header"))}");
        }
        if (dtype is null) throw Bad(Quote(name), "has no dtype");
        if (shape is not { } dims) throw Bad(Quote(name), "has no shape");
        if (range is not { } bytes) throw Bad(Quote(name), "has no data_offsets");
        long bits;
        try
        {
            bits = checked(dims.ElementCount * dtype.Bits);
        }
        catch (OverflowException)
        {
            throw Bad(Quote(name), $"shape {dims} of {dtype.Name} is larger than any file");
        }
        if (bits % 8 != 0 || bits / 8 != bytes.End - bytes.Begin)
            throw Bad(Quote(name), $"shape {dims} of {dtype.Name} is {bits} bits, data_offsets give {bytes.End - bytes.Begin} bytes");
        return new SafetensorsEntry(name, dtype.Name, dtype.DType, dims, bytes.Begin, bytes.End);
    }

    private SafetensorsDType ReadDType(ref Utf8JsonReader reader, string name)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.String) throw Bad(Quote(name), $"dtype must be a string, is {Kind(reader.TokenType)}");
        string text = Text(ref reader, "header");
        return SafetensorsDType.Find(text) ?? throw Bad(Quote(name), $"unknown dtype {Quote(text)}; known are {SafetensorsDType.Known}");
    }

    private Shape ReadShape(ref Utf8JsonReader reader, string name)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray) throw Bad(Quote(name), $"shape must be an array, is {Kind(reader.TokenType)}");
        Span<int> dims = stackalloc int[Shape.MaxRank];
        int rank = 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (rank == dims.Length) throw Bad(Quote(name), $"shape has more than {Shape.MaxRank} dimensions");
            long dim = ReadInteger(ref reader, name, "shape");
            if (dim > int.MaxValue) throw Bad(Quote(name), $"shape: dimension {dim} is larger than {int.MaxValue}");
            dims[rank++] = (int)dim;
        }
        try
        {
            return new Shape(dims[..rank]);
        }
        catch (ShapeException error)
        {
            throw new DeloraFormatException(_file, Quote(name), $"shape: {error.Message}", error);
        }
    }

    private (long Begin, long End) ReadRange(ref Utf8JsonReader reader, string name)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
            throw Bad(Quote(name), $"data_offsets must be an array of two integers, is {Kind(reader.TokenType)}");
        reader.Read();
        long begin = ReadInteger(ref reader, name, "data_offsets");
        reader.Read();
        long end = ReadInteger(ref reader, name, "data_offsets");
        reader.Read();
        if (reader.TokenType != JsonTokenType.EndArray) throw Bad(Quote(name), "data_offsets must be an array of two integers");
        if (begin > end) throw Bad(Quote(name), $"data_offsets: begin {begin} lies behind end {end}");
        if (end > _dataLength)
            throw Bad(Quote(name), $"data_offsets [{begin}, {end}] reach beyond the {_dataLength} bytes of data: the file was cut short");
        return (begin, end);
    }

    /// <summary>Digits only: the format's integers have no sign, fraction or exponent.</summary>
    private long ReadInteger(ref Utf8JsonReader reader, string name, string field)
    {
        if (reader.TokenType != JsonTokenType.Number)
            throw Bad(Quote(name), $"{field} must hold non-negative integers, holds {Kind(reader.TokenType)}");
        if (reader.ValueSpan.ContainsAnyExceptInRange((byte)'0', (byte)'9') || !reader.TryGetInt64(out long value))
            throw Bad(Quote(name), $"{field} must hold non-negative integers below 2^63, holds {Clip(reader.ValueSpan)}");
        return value;
    }

    private static string Clip(ReadOnlySpan<byte> number) =>
        number.Length <= 40 ? Encoding.ASCII.GetString(number) : Encoding.ASCII.GetString(number[..40]) + "…";

    /// <summary>In the order of their bytes, each tensor begins where the one before ends and the last ends with the file.</summary>
    private void CheckRanges()
    {
        SafetensorsEntry[] entries = [.. _entries.Values];
        Array.Sort(entries, static (a, b) => a.Begin != b.Begin ? a.Begin.CompareTo(b.Begin) : a.End.CompareTo(b.End));
        long end = 0;
        foreach (SafetensorsEntry entry in entries)
        {
            if (entry.Begin > end) throw Bad(Quote(entry.Name), $"bytes {end} to {entry.Begin} before it belong to no tensor");
            if (entry.Begin < end)
                throw Bad(Quote(entry.Name), $"begins at byte {entry.Begin}, inside the tensor before it (end {end}): they overlap");
            end = entry.End;
        }
        if (end < _dataLength)
            throw Bad(null, $"{_dataLength - end} bytes after the last tensor belong to no tensor: something was appended to the file");
        InFileOrder = entries;
    }

    private string Text(ref Utf8JsonReader reader, string field)
    {
        try
        {
            return reader.GetString()!;
        }
        catch (InvalidOperationException error)
        {
            throw new DeloraFormatException(_file, field, "holds a string with half a surrogate pair", error);
        }
    }

    private static string Kind(JsonTokenType token) => token switch
    {
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray => "an array",
        JsonTokenType.EndArray => "too few elements",
        JsonTokenType.String => "a string",
        JsonTokenType.Number => "a number",
        JsonTokenType.Null => "null",
        _ => "a Boolean",
    };

    private DeloraFormatException Bad(string? field, string reason) => new(_file, field, reason);
}
