using System.Buffers.Binary;
using System.Text;
using CsCheck;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Core;

public sealed class SafetensorsWriteTests : IDisposable
{
    private static readonly Device s_device = Devices.Cpu;

    private readonly TemporaryFolder _folder = new();

    private string File => Path.Combine(_folder.Path, "adapter_model.safetensors");

    public void Dispose() => _folder.Dispose();

    private static Tensor Floats(params float[] values) => Tensor.From(values, [values.Length], s_device);

    private string[] FilesInFolder() => [.. Directory.GetFileSystemEntries(_folder.Path).Select(path => Path.GetFileName(path)!)];

    [Fact]
    public void The_layout_is_the_official_writers_to_the_byte()
    {
        using var scope = new TensorScope();
        Tensor ids = Tensor.From(new long[] { 5 }, [1], s_device), bytes = Tensor.From(new byte[] { 9 }, [], s_device);
        SafetensorsFile.Write(File, [new("b", Floats(1, 2)), new("bytes", bytes), new("ids", ids), new("a", Floats(3))]);
        string header = "{\"__metadata__\":{\"format\":\"pt\"}," +
            SafetensorsBytes.Entry("ids", "I64", "[1]", 0, 8) + "," + SafetensorsBytes.Entry("a", "F32", "[1]", 8, 12) + "," +
            SafetensorsBytes.Entry("b", "F32", "[2]", 12, 20) + "," + SafetensorsBytes.Entry("bytes", "U8", "[]", 20, 21) + "}";
        string padded = header.PadRight((header.Length + 7) / 8 * 8);
        byte[] data = [.. BitConverter.GetBytes(5L), .. SafetensorsBytes.Floats(3, 1, 2), 9];
        byte[] expected = [.. new byte[8], .. Encoding.UTF8.GetBytes(padded), .. data];
        BinaryPrimitives.WriteInt64LittleEndian(expected, padded.Length);
        Assert.Equal(expected, System.IO.File.ReadAllBytes(File));
        Assert.Equal(["adapter_model.safetensors"], FilesInFolder());
    }

    [Fact]
    public void Types_are_sorted_as_the_official_writer_sorts_them_and_names_by_their_bytes()
    {
        using var scope = new TensorScope();
        KeyValuePair<string, Tensor>[] tensors =
        [
            new("u8", Tensor.From(new byte[1], [1], s_device)), new("f16", Tensor.From(new Half[1], [1], s_device)),
            new("bf16", Tensor.From(new BFloat16[1], [1], s_device)), new("i32", Tensor.From(new int[1], [1], s_device)),
            new("\uFF5E", Floats(0)), new("🙂", Floats(0)), new("Z", Floats(0)), new("a", Floats(0)),
            new("f64", Tensor.From<double>([0.0], [1], DType.Float64, s_device)), new("i64", Tensor.From(new long[1], [1], s_device)),
        ];
        SafetensorsFile.Write(File, tensors);
        using SafetensorsFile file = SafetensorsFile.Open(File);
        Assert.Equal(["i64", "f64", "Z", "a", "\uFF5E", "🙂", "i32", "bf16", "f16", "u8"], file.Entries.Select(entry => entry.Name));
    }

    [Fact]
    public void What_was_written_is_read_back_bit_for_bit()
    {
        using var scope = new TensorScope();
        Gen<(string Name, int[] Dims, DType DType, ulong Seed)> tensor = Gen.Select(
            Gen.String[Gen.Char.Where(c => !char.IsSurrogate(c)), 0, 12],
            Gen.Int[0, 5].Array[0, 4],
            Gen.Int[0, (int)DType.UInt8].Select(value => (DType)value),
            Gen.ULong);
        Gen<Dictionary<string, string>> metadata =
            Gen.Dictionary(Gen.String[Gen.Char.AlphaNumeric, 0, 5], Gen.String[Gen.Char.Where(c => !char.IsSurrogate(c)), 0, 9])[0, 3];
        Gen.Select(tensor.Array[0, 6], metadata).Sample((items, metadata) =>
        {
            using var sample = new TensorScope();
            var tensors = new Dictionary<string, Tensor>();
            foreach (var item in items.Where(item => item.Name != "__metadata__"))
            {
                Tensor made = Tensor.Empty(new Shape(item.Dims), item.DType, s_device);
                FillWithAnyBits(made, item.Seed);
                tensors[item.Name] = made;
            }
            SafetensorsFile.Write(File, tensors, metadata);
            using SafetensorsFile file = SafetensorsFile.Open(File, new SafetensorsOptions { Warn = _ => { } });
            Assert.Equal(metadata, file.Metadata.ToDictionary());
            Assert.Equal(tensors.Keys.ToHashSet(), file.Entries.Select(entry => entry.Name).ToHashSet());
            foreach ((string name, Tensor made) in tensors)
            {
                Tensor read = file.Read(name, s_device);
                Assert.Equal((made.Shape, made.DType), (read.Shape, read.DType));
                Assert.Equal(Bytes(made), Bytes(read));
            }
        }, iter: 200, threads: 1);
    }

    [Fact]
    public void A_truncation_anywhere_is_refused()
    {
        using var scope = new TensorScope();
        SafetensorsFile.Write(File, [new("w", Floats(1, 2, 3)), new("v", Floats(4))]);
        byte[] whole = System.IO.File.ReadAllBytes(File);
        for (int length = 0; length < whole.Length; length++)
        {
            System.IO.File.WriteAllBytes(File, whole[..length]);
            Assert.Throws<DeloraFormatException>(() => SafetensorsFile.Open(File).Dispose());
        }
    }

    [Fact]
    public void Flipped_bytes_of_the_header_are_refused_or_read_but_never_break()
    {
        using var scope = new TensorScope();
        SafetensorsFile.Write(File, [new("w", Floats(1, 2, 3)), new("v", Floats(4))]);
        byte[] whole = System.IO.File.ReadAllBytes(File);
        string copy = Path.Combine(_folder.Path, "copy");
        Gen.Select(Gen.Int[0, whole.Length - 17], Gen.Byte).Sample((at, value) =>
        {
            System.IO.File.WriteAllBytes(copy, [.. whole[..at], value, .. whole[(at + 1)..]]);
            try
            {
                using SafetensorsFile file = SafetensorsFile.Open(copy);
                foreach (SafetensorsEntry entry in file.Entries)
                    if (entry.DType is not null) file.Read(entry.Name, s_device).Dispose();
            }
            catch (DeloraFormatException)
            {
                // The one answer that is allowed besides a file that is still right.
            }
        }, iter: 500, threads: 1);
    }

    [Fact]
    public void Saving_over_the_file_that_is_loaded()
    {
        using var scope = new TensorScope();
        SafetensorsFile.Write(File, [new("a", Floats(1, 2)), new("b", Floats(3))]);
        using SafetensorsFile open = SafetensorsFile.Open(File);
        Tensor a = open.Read("a", s_device);
        SafetensorsFile.Write(File, [new("a", Floats(7, 8, 9)), new("old", a)]);
        Assert.Equal([3f], open.Read("b", s_device).ToArray<float>());
        using SafetensorsFile again = SafetensorsFile.Open(File);
        Assert.Equal([7f, 8, 9], again.Read("a", s_device).ToArray<float>());
        Assert.Equal([1f, 2], again.Read("old", s_device).ToArray<float>());
    }

    [Fact]
    public void A_failure_while_writing_leaves_the_old_file_and_nothing_else()
    {
        using var scope = new TensorScope();
        SafetensorsFile.Write(File, [new("a", Floats(1))]);
        byte[] before = System.IO.File.ReadAllBytes(File);
        Assert.Throws<InvalidDataException>(() => AtomicFile.Write(File, stream =>
        {
            stream.Write(new byte[100_000]);
            throw new InvalidDataException("half-way");
        }));
        Assert.Throws<DeloraException>(() => AtomicFile.Write(File, _ => throw new IOException("disk full")));
        Assert.Equal(before, System.IO.File.ReadAllBytes(File));
        Assert.Equal(["adapter_model.safetensors"], FilesInFolder());
    }

    [Fact]
    public void A_folder_that_is_not_there_is_an_error_of_ours()
    {
        using var scope = new TensorScope();
        string path = Path.Combine(_folder.Path, "none", "w.safetensors");
        Assert.Contains(path, Assert.Throws<DeloraException>(() => SafetensorsFile.Write(path, [])).Message);
    }

    [Fact]
    public void Names_that_cannot_be_written()
    {
        using var scope = new TensorScope();
        // Not as theory data: an attribute's text is stored as UTF-8, which has no half pairs.
        (string, string)[] cases = [("__metadata__", "cannot be called"), ("\ud83d", "half a surrogate pair")];
        foreach ((string name, string reason) in cases)
            Assert.Contains(reason, Assert.Throws<ArgumentException>(() => SafetensorsFile.Write(File, [new(name, Floats(1))])).Message);
        Assert.Empty(FilesInFolder());
    }

    [Fact]
    public void A_name_twice_and_a_disposed_tensor()
    {
        using var scope = new TensorScope();
        Assert.Throws<ArgumentException>(() => SafetensorsFile.Write(File, [new("a", Floats(1)), new("a", Floats(2))]));
        Tensor gone = Floats(1);
        gone.Dispose();
        Assert.Throws<ObjectDisposedException>(() => SafetensorsFile.Write(File, [new("a", gone)]));
        Assert.Empty(FilesInFolder());
    }

    [Fact]
    public void The_reference_devices_numbers_are_written_as_float32_where_that_is_asked()
    {
        using var scope = new TensorScope();
        Tensor wide = Tensor.From([1.0 / 3, -2], [2], Devices.Reference);
        Tensor ids = Tensor.From(new[] { 3 }, [1], Devices.Reference);
        SafetensorsFile.Write(File, [new("w", wide), new("ids", ids)], floatType: DType.Float32);
        using SafetensorsFile file = SafetensorsFile.Open(File);
        Assert.Equal(("F32", "I32"), (file["w"].StoredType, file["ids"].StoredType));
        Assert.Equal([(float)(1.0 / 3), -2], file.Read("w", s_device).ToArray<float>());
        Assert.Throws<DTypeException>(() => SafetensorsFile.Write(File, [], floatType: DType.BFloat16));
    }

    [Fact]
    public void A_view_is_written_from_where_it_begins()
    {
        using var scope = new TensorScope();
        Tensor view = Floats(1, 2, 3, 4, 5, 6).View([2, 2], 1);
        SafetensorsFile.Write(File, [new("v", view)]);
        using SafetensorsFile file = SafetensorsFile.Open(File);
        Assert.Equal([2f, 3, 4, 5], file.Read("v", s_device).ToArray<float>());
        Assert.Equal(new Shape(2, 2), file["v"].Shape);
    }

    private static void FillWithAnyBits(Tensor tensor, ulong seed)
    {
        var bytes = new byte[tensor.ByteLength];
        for (int i = 0; i < bytes.Length; i++) bytes[i] = (byte)Philox.Word(seed, (ulong)i);
        tensor.Device.CopyFromHost(bytes, tensor.Block, 0);
    }

    private static byte[] Bytes(Tensor tensor)
    {
        var bytes = new byte[tensor.ByteLength];
        tensor.Device.CopyToHost(tensor.Block, tensor.Offset * tensor.DType.Size, bytes);
        return bytes;
    }
}
