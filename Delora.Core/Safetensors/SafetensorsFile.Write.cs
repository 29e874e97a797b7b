using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Delora.Core;

/// <summary>Writing.</summary>
public sealed partial class SafetensorsFile
{
    private static readonly UTF8Encoding s_strictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private static readonly Dictionary<string, string> s_torchMetadata = new() { ["format"] = "pt" };

    /// <summary>
    /// Writes the tensors as the official writer lays them out: header padded with blanks to a multiple of 8, tensors by type (widest
    /// first), then name. The file is replaced as a whole or not at all (<see cref="AtomicFile"/>): also while a
    /// <see cref="SafetensorsFile"/> has it open.
    /// </summary>
    /// <param name="path">The file to make or to replace.</param>
    /// <param name="tensors">Names and tensors.</param>
    /// <param name="metadata">The <c>__metadata__</c> strings; <c>{"format": "pt"}</c>, as PEFT writes, where nothing is given.</param>
    /// <param name="floatType">
    /// float32 or float64: float32 and float64 tensors are written as this type (an adapter trained on the reference device is saved as
    /// float32). As they are where nothing is given.
    /// </param>
    /// <exception cref="ArgumentException">A name is taken twice, reserved, or not valid text.</exception>
    /// <exception cref="DeloraException">The system refused; the old file is as it was.</exception>
    public static void Write(
        string path, IEnumerable<KeyValuePair<string, Tensor>> tensors, IReadOnlyDictionary<string, string>? metadata = null,
        DType? floatType = null)
    {
        if (floatType is not (null or DType.Float32 or DType.Float64))
            throw new DTypeException($"Write: numbers are converted to float32 or float64, not to {floatType.Value.Name}.");
        List<Part> parts = InOfficialOrder(tensors, floatType);
        byte[] header = MakeHeader(parts, metadata ?? s_torchMetadata);
        AtomicFile.Write(path, stream =>
        {
            stream.Write(header);
            foreach (Part part in parts) WriteData(stream, part);
        });
    }

    private static List<Part> InOfficialOrder(IEnumerable<KeyValuePair<string, Tensor>> tensors, DType? floatType)
    {
        var parts = new List<Part>();
        var names = new HashSet<string>();
        foreach ((string name, Tensor tensor) in tensors)
        {
            if (name == SafetensorsHeader.MetadataName) throw new ArgumentException($"Write: a tensor cannot be called {name}.");
            if (!names.Add(name)) throw new ArgumentException($"Write: two tensors are called {SafetensorsHeader.Quote(name)}.");
            tensor.ThrowIfDisposed();
            DType dtype = tensor.DType is DType.Float32 or DType.Float64 ? floatType ?? tensor.DType : tensor.DType;
            parts.Add(new Part(name, Utf8(name), tensor, SafetensorsDType.Of(dtype)));
        }
        parts.Sort(static (a, b) =>
            a.Stored.Rank != b.Stored.Rank ? b.Stored.Rank.CompareTo(a.Stored.Rank) : a.Utf8Name.AsSpan().SequenceCompareTo(b.Utf8Name));
        return parts;
    }

    private static byte[] MakeHeader(List<Part> parts, IReadOnlyDictionary<string, string> metadata)
    {
        var buffer = new ArrayBufferWriter<byte>();
        buffer.Write(stackalloc byte[LengthBytes]);
        // The relaxed encoder escapes what JSON must escape and little else, as the official writer does.
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            if (metadata.Count > 0)
            {
                json.WriteStartObject(SafetensorsHeader.MetadataName);
                foreach ((string key, string value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                    json.WriteString(Utf8(key), Utf8(value));
                json.WriteEndObject();
            }
            long begin = 0;
            foreach (Part part in parts)
            {
                long end = checked(begin + part.ByteLength);
                json.WriteStartObject(part.Utf8Name);
                json.WriteString("dtype", part.Stored.Name);
                json.WriteStartArray("shape");
                foreach (int dim in part.Tensor.Shape) json.WriteNumberValue(dim);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(begin);
                json.WriteNumberValue(end);
                json.WriteEndArray();
                json.WriteEndObject();
                begin = end;
            }
            json.WriteEndObject();
        }
        int padding = -buffer.WrittenCount & (LengthBytes - 1);
        buffer.GetSpan(padding)[..padding].Fill((byte)' ');
        buffer.Advance(padding);
        byte[] header = buffer.WrittenSpan.ToArray();
        if (header.Length - LengthBytes > MaxHeaderBytes)
            throw new DeloraException($"Write: the header of {parts.Count} tensors is longer than the format's {MaxHeaderBytes} bytes.");
        BinaryPrimitives.WriteUInt64LittleEndian(header, (ulong)(header.Length - LengthBytes));
        return header;
    }

    private static void WriteData(Stream stream, Part part)
    {
        DType from = part.Tensor.DType, to = part.Stored.DType!.Value;
        long elements = part.Tensor.ElementCount;
        int perChunk = (int)Math.Min(ChunkBytes / Math.Max(from.Size, to.Size), elements);
        var bytes = new byte[perChunk * from.Size];
        byte[] converted = from == to ? bytes : new byte[perChunk * to.Size];
        for (long done = 0; done < elements; done += perChunk)
        {
            int count = (int)Math.Min(perChunk, elements - done);
            Span<byte> source = bytes.AsSpan(0, count * from.Size), destination = converted.AsSpan(0, count * to.Size);
            part.Tensor.Device.Read(part.Tensor.Block, (part.Tensor.Offset + done) * from.Size, source);
            if (from != to) FloatBytes.Convert(source, from, destination, to);
            stream.Write(destination);
        }
    }

    private static byte[] Utf8(string text)
    {
        try
        {
            return s_strictUtf8.GetBytes(text);
        }
        catch (EncoderFallbackException error)
        {
            throw new ArgumentException($"Write: {SafetensorsHeader.Quote(text)} holds half a surrogate pair.", error);
        }
    }

    private sealed record Part(string Name, byte[] Utf8Name, Tensor Tensor, SafetensorsDType Stored)
    {
        internal long ByteLength => checked(Tensor.ElementCount * Stored.DType!.Value.Size);
    }
}
