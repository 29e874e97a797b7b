using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;

namespace Delora.Core;

/// <summary>
/// An open safetensors file: 8 bytes with the length of a JSON header, the header, the tensors' bytes. Opening reads and checks the whole
/// header and no tensor; each tensor is read by its range when asked for. Many threads may read at once. The file stays open, so it may be
/// replaced (<see cref="Write"/>) while this object still reads what it opened.
/// </summary>
/// <remarks>Format: the Hugging Face safetensors documentation; limits as in its own reader (header up to 100,000,000 bytes).</remarks>
public sealed partial class SafetensorsFile : IDisposable
{
    private const int LengthBytes = 8;
    private const long MaxHeaderBytes = 100_000_000;
    private const int ChunkBytes = 1 << 20;

    private readonly SafeFileHandle _handle;
    private readonly SafetensorsOptions _options;
    private readonly SafetensorsHeader _header;
    private readonly long _dataStart;

    private SafetensorsFile(string path, SafeFileHandle handle, SafetensorsHeader header, long dataStart, SafetensorsOptions options)
    {
        Path = path;
        _handle = handle;
        _header = header;
        _dataStart = dataStart;
        _options = options;
    }

    /// <summary>The path that was opened.</summary>
    public string Path { get; }

    /// <summary>
    /// Every tensor, in the order of their bytes; also those whose type cannot be read (<see cref="SafetensorsEntry.DType"/> null).
    /// </summary>
    public IReadOnlyList<SafetensorsEntry> Entries => _header.InFileOrder;

    /// <summary>The header's <c>__metadata__</c>; empty where there is none.</summary>
    public IReadOnlyDictionary<string, string> Metadata => _header.Metadata;

    /// <summary>The tensor of this name.</summary>
    /// <exception cref="DeloraFormatException">There is none.</exception>
    public SafetensorsEntry this[string name] =>
        _header.Entries.TryGetValue(name, out SafetensorsEntry? entry)
            ? entry
            : throw new DeloraFormatException(Path, SafetensorsHeader.Quote(name), $"is not among the file's {Entries.Count} tensors");

    /// <summary>Whether the file has a tensor of this name.</summary>
    public bool Contains(string name) => _header.Entries.ContainsKey(name);

    /// <summary>Opens a file and checks its whole header against its length.</summary>
    /// <param name="path">A regular file, or a link to one.</param>
    /// <param name="options">What to do about NaN and infinity: a warning where nothing is given.</param>
    /// <exception cref="DeloraFormatException">The file is not there, not readable or not a safetensors file; says why.</exception>
    public static SafetensorsFile Open(string path, SafetensorsOptions? options = null)
    {
        SafeFileHandle handle = RegularFile.Open(path);
        try
        {
            long length = RandomAccess.GetLength(handle);
            SafetensorsHeader header = ReadHeader(path, handle, length, out long dataStart);
            return new SafetensorsFile(path, handle, header, dataStart, options ?? new SafetensorsOptions());
        }
        catch (IOException error)
        {
            handle.Dispose();
            throw new DeloraFormatException(path, null, $"cannot be read: {error.Message}", error);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Reads a tensor, its elements as they are stored.</summary>
    /// <exception cref="DeloraFormatException">
    /// There is no such tensor, its type cannot be computed with, the file was shortened, or (strict) a value is not finite.
    /// </exception>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    public Tensor Read(string name, Device device)
    {
        SafetensorsEntry entry = this[name];
        return Read(entry, Readable(entry), device);
    }

    /// <summary>
    /// Reads a floating-point tensor as the device's own floating-point type: bfloat16, float16 and float32 are widened exactly; float64 is
    /// rounded where the device computes in float32.
    /// </summary>
    /// <exception cref="DeloraFormatException">
    /// As <see cref="Read(string, Device)"/>, or the tensor does not hold floating-point numbers.
    /// </exception>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    public Tensor ReadFloat(string name, Device device)
    {
        SafetensorsEntry entry = this[name];
        if (!Readable(entry).IsFloatingPoint)
            throw new DeloraFormatException(Path, SafetensorsHeader.Quote(name), $"holds {entry.StoredType}, not floating-point numbers");
        return Read(entry, device.FloatType, device);
    }

    /// <summary>Closes the file. Tensors that were read stay.</summary>
    public void Dispose() => _handle.Dispose();

    private static SafetensorsHeader ReadHeader(string path, SafeFileHandle handle, long fileLength, out long dataStart)
    {
        Span<byte> start = stackalloc byte[LengthBytes];
        if (fileLength < LengthBytes)
            throw new DeloraFormatException(path, null, $"has {fileLength} bytes, too short for the 8 bytes of the header length");
        if (!RegularFile.ReadFully(handle, start, 0)) throw Shortened(path);
        if (start.SequenceEqual("version "u8)) throw RegularFile.Pointer(path);
        if (start.StartsWith("PK\u0003\u0004"u8))
            throw new DeloraFormatException(path, null, "is a ZIP archive, as PyTorch's pickled weights are: convert it to safetensors");
        ulong headerLength = BinaryPrimitives.ReadUInt64LittleEndian(start);
        if (headerLength == 0) throw new DeloraFormatException(path, "header length", "is 0");
        if (headerLength > MaxHeaderBytes)
            throw new DeloraFormatException(path, "header length", $"{headerLength} is above the format's limit of {MaxHeaderBytes} bytes");
        if ((long)headerLength > fileLength - LengthBytes)
            throw new DeloraFormatException(path, "header length",
                $"{headerLength} reaches beyond the end of the file ({fileLength} bytes): the file was cut short");
        byte[] json = GC.AllocateUninitializedArray<byte>((int)headerLength);
        if (!RegularFile.ReadFully(handle, json, LengthBytes)) throw Shortened(path);
        dataStart = LengthBytes + (long)headerLength;
        return SafetensorsHeader.Parse(path, json, fileLength - dataStart);
    }

    private static DeloraFormatException Shortened(string path) => new(path, null, "ended early: it was shortened while it was read");

    private DType Readable(SafetensorsEntry entry) =>
        entry.DType ?? throw new DeloraFormatException(Path, SafetensorsHeader.Quote(entry.Name),
            $"{entry.StoredType} can be listed but not computed with; readable are {SafetensorsDType.Readable}");

    private Tensor Read(SafetensorsEntry entry, DType dtype, Device device)
    {
        ObjectDisposedException.ThrowIf(_handle.IsClosed, this);
        Tensor tensor = Tensor.Empty(entry.Shape, dtype, device, entry.Name);
        tensor.TypeInFile = entry.DType;
        try
        {
            // A plan needs the sizes alone: the header has been checked against the file's length.
            if (!device.IsPlanning) ReadInto(entry, tensor);
        }
        catch (IOException error)
        {
            tensor.Dispose();
            throw new DeloraFormatException(Path, SafetensorsHeader.Quote(entry.Name), $"cannot be read: {error.Message}", error);
        }
        catch
        {
            tensor.Dispose();
            throw;
        }
        return tensor;
    }

    private void ReadInto(SafetensorsEntry entry, Tensor tensor)
    {
        DType stored = entry.DType!.Value;
        int storedSize = stored.Size, size = tensor.DType.Size;
        int perChunk = ChunkBytes / Math.Max(storedSize, size);
        var bytes = new byte[Math.Min(perChunk, entry.Shape.ElementCount) * storedSize];
        byte[] converted = stored == tensor.DType ? bytes : new byte[Math.Min(perChunk, entry.Shape.ElementCount) * size];
        long nonFinite = 0;
        for (long done = 0; done < entry.Shape.ElementCount; done += perChunk)
        {
            int count = (int)Math.Min(perChunk, entry.Shape.ElementCount - done);
            Span<byte> source = bytes.AsSpan(0, count * storedSize), destination = converted.AsSpan(0, count * size);
            if (!RegularFile.ReadFully(_handle, source, _dataStart + entry.Begin + done * storedSize)) throw Shortened(Path);
            if (stored != tensor.DType) FloatBytes.Convert(source, stored, destination, tensor.DType);
            // Counted after the conversion: a float64 beyond float32's range has become infinite.
            nonFinite += FloatBytes.CountNonFinite(destination, tensor.DType);
            tensor.Device.Write(destination, tensor.Block, (tensor.Offset + done) * size);
        }
        if (nonFinite == 0) return;
        string reason = $"{nonFinite} of {entry.Shape.ElementCount} values are NaN or infinite as {tensor.DType.Name}";
        if (_options.Strict) throw new DeloraFormatException(Path, SafetensorsHeader.Quote(entry.Name), reason);
        _options.Warn($"{Path}: {SafetensorsHeader.Quote(entry.Name)}: {reason}");
    }
}
