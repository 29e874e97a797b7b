using System.Text;
using Delora.Core;
using Delora.Kernels;
using static Delora.Tests.Core.SafetensorsBytes;

namespace Delora.Tests.Core;

/// <summary>What is accepted, with exact values.</summary>
public sealed class SafetensorsReadTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private SafetensorsFile Open(byte[] bytes, SafetensorsOptions? options = null)
    {
        string path = Path.Combine(_folder.Path, "model.safetensors");
        System.IO.File.WriteAllBytes(path, bytes);
        return SafetensorsFile.Open(path, options);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("{\"__metadata__\":{}}")]
    [InlineData(" \n\t{ } \r\n")]
    [InlineData("\uFEFF{}")]
    public void No_tensors(string header)
    {
        using SafetensorsFile file = Open(File(header));
        Assert.Empty(file.Entries);
        Assert.Empty(file.Metadata);
        Assert.False(file.Contains("w"));
    }

    [Fact]
    public void A_scalar()
    {
        using SafetensorsFile file = Open(File($"{{{Entry("s", "F32", "[]", 0, 4)}}}", Floats(2.5f)));
        using Tensor s = file.Read("s", Devices.Cpu);
        Assert.Equal([], s.Shape);
        Assert.Equal(2.5, s.ToScalar());
    }

    [Fact]
    public void Dimensions_of_zero_anywhere()
    {
        string header = $"{{{Entry("z", "F32", "[0,3]", 0, 0)},{Entry("w", "F32", "[1]", 0, 4)},{Entry("y", "I64", "[2,0]", 4, 4)}}}";
        using SafetensorsFile file = Open(File(header, Floats(7)));
        using Tensor z = file.Read("z", Devices.Cpu), y = file.Read("y", Devices.Cpu), w = file.Read("w", Devices.Cpu);
        Assert.Equal((new Shape(0, 3), new Shape(2, 0)), (z.Shape, y.Shape));
        Assert.Equal([7f], w.ToArray<float>());
    }

    [Fact]
    public void Any_order_of_keys_white_space_metadata_and_unaligned_data()
    {
        // The header has an odd length, so no tensor is aligned.
        const string header = """
             { "b" : {"data_offsets":[1, 9], "shape" : [ 2 ] , "dtype":"F32"},
               "__metadata__": {"format": "pt", "note": "caf\u00e9 🙂"},
               "a\u0062": {"shape":[1],"data_offsets":[0,1],"dtype":"U8"} }
            """;
        foreach (string padded in (string[])[header, header + " "])
        {
            using SafetensorsFile file = Open(File(padded, [200, .. Floats(1.5f, -3)]));
            Assert.Equal(["ab", "b"], file.Entries.Select(entry => entry.Name));
            Assert.Equal(("pt", "café 🙂"), (file.Metadata["format"], file.Metadata["note"]));
            using Tensor bytes = file.Read("ab", Devices.Cpu), floats = file.Read("b", Devices.Cpu);
            Assert.Equal([200], bytes.ToArray<byte>());
            Assert.Equal([1.5f, -3], floats.ToArray<float>());
        }
    }

    [Fact]
    public void Types_that_cannot_be_computed_with_are_listed_and_refused_on_reading()
    {
        using SafetensorsFile file = Open(File($"{{{Entry("q", "F8_E4M3", "[3]", 0, 3)},{Entry("p", "F4", "[2]", 3, 4)}}}", 1, 2, 3, 4));
        Assert.Equal(("F8_E4M3", null, 3L), (file["q"].StoredType, file["q"].DType, file["q"].ByteLength));
        Assert.Equal(1, file["p"].ByteLength);
        var error = Assert.Throws<DeloraFormatException>(() => file.Read("q", Devices.Cpu));
        Assert.Equal("'q'", error.Field);
        Assert.Contains("F8_E4M3 can be listed but not computed with; readable are U8, F16, BF16, I32, F32, F64, I64", error.Reason);
    }

    [Fact]
    public void A_name_that_is_not_there()
    {
        using SafetensorsFile file = Open(File("{}"));
        Assert.Contains("'w': is not among", Assert.Throws<DeloraFormatException>(() => file.Read("w", Devices.Cpu)).Message);
    }

    [Fact]
    public void Each_type_is_read_as_stored_and_the_floating_ones_as_the_device_computes()
    {
        string header = $"{{{Entry("F64", "F64", "[2]", 0, 16)},{Entry("I64", "I64", "[1]", 16, 24)}," +
            $"{Entry("F32", "F32", "[1]", 24, 28)}," +
            $"{Entry("I32", "I32", "[1]", 28, 32)},{Entry("BF16", "BF16", "[2]", 32, 36)},{Entry("F16", "F16", "[2]", 36, 40)}," +
            $"{Entry("U8", "U8", "[1]", 40, 41)}}}";
        byte[] data =
        [
            .. BitConverter.GetBytes(1.0 / 3), .. BitConverter.GetBytes(-2.0), .. BitConverter.GetBytes(long.MinValue), .. Floats(0.1f),
            .. BitConverter.GetBytes(-7), 0x80, 0x3F, 0x01, 0x80, .. BitConverter.GetBytes((Half)0.1f), 0x01, 0x00, 255,
        ];
        using SafetensorsFile file = Open(File(header, data));
        using var scope = new TensorScope();
        Device cpu = Devices.Cpu, reference = Devices.Reference;
        Assert.Equal([1.0 / 3, -2], file.Read("F64", cpu).ToArray<double>());
        Assert.Equal([long.MinValue], file.Read("I64", cpu).ToArray<long>());
        Assert.Equal([0.1f], file.Read("F32", reference).ToArray<float>());
        Assert.Equal(DType.Float32, file.Read("F32", reference).DType);
        Assert.Equal([-7], file.Read("I32", cpu).ToArray<int>());
        Assert.Equal([(ushort)0x3F80, (ushort)0x8001], file.Read("BF16", cpu).ToArray<BFloat16>().Select(value => value.Bits));
        Assert.Equal([(Half)0.1f, Half.Epsilon], file.Read("F16", cpu).ToArray<Half>());
        Assert.Equal([255], file.Read("U8", cpu).ToArray<byte>());

        float tiny = BitConverter.UInt32BitsToSingle(0x8001_0000);
        Assert.Equal([(float)(1.0 / 3), -2], file.ReadFloat("F64", cpu).ToArray<float>());
        Assert.Equal([1, tiny], file.ReadFloat("BF16", cpu).ToArray<float>());
        Assert.Equal([(float)(Half)0.1f, (float)Half.Epsilon], file.ReadFloat("F16", cpu).ToArray<float>());
        Assert.Equal([1.0 / 3, -2], file.ReadFloat("F64", reference).ToArray<double>());
        Assert.Equal([0.1f], file.ReadFloat("F32", reference).ToArray<double>());
        Assert.Equal([1, tiny], file.ReadFloat("BF16", reference).ToArray<double>());
        Assert.Equal([(double)(Half)0.1f, (double)Half.Epsilon], file.ReadFloat("F16", reference).ToArray<double>());
        Assert.Contains("not floating-point", Assert.Throws<DeloraFormatException>(() => file.ReadFloat("I32", cpu)).Reason);
    }

    [Fact]
    public void A_tensor_of_several_chunks_and_an_odd_rest()
    {
        var values = new float[(1 << 19) + 3];
        new Generator(1).FillNormal(values);
        string path = Path.Combine(_folder.Path, "big.safetensors");
        using (Tensor tensor = Tensor.From(values, [values.Length], Devices.Cpu))
            SafetensorsFile.Write(path, [new("a", tensor), new("b", tensor)]);
        using SafetensorsFile file = SafetensorsFile.Open(path);
        using Tensor b = file.Read("b", Devices.Cpu), wide = file.ReadFloat("b", Devices.Reference);
        Assert.Equal(values, b.ToArray<float>());
        Assert.Equal(values.Select(value => (double)value), wide.ToArray<double>());
    }

    [Theory]
    [InlineData("F32", 4, 0x7FC00000L)]
    [InlineData("F32", 4, 0xFF800000L)]
    [InlineData("F64", 8, 0x7FF0000000000000L)]
    [InlineData("F16", 2, 0xFC00L)]
    [InlineData("BF16", 2, 0x7F80L)]
    [InlineData("BF16", 2, 0xFFC1L)]
    public void NaN_and_infinity_warn_and_are_refused_in_strict_mode(string dtype, int size, long bits)
    {
        byte[] bytes = File(
            $"{{{Entry("ok", dtype, "[1]", 0, size)},{Entry("w", dtype, "[2]", size, 3 * size)}}}",
            [.. new byte[2 * size], .. BitConverter.GetBytes(bits)[..size]]);
        var warnings = new List<string>();
        using (SafetensorsFile file = Open(bytes, new SafetensorsOptions { Warn = warnings.Add }))
        {
            using Tensor ok = file.Read("ok", Devices.Cpu);
            Assert.Empty(warnings);
            using Tensor w = file.Read("w", Devices.Cpu), converted = file.ReadFloat("w", Devices.Cpu);
            Assert.False(float.IsFinite(converted.ToArray<float>()[1]));
            Assert.Equal(2, warnings.Count);
            Assert.All(warnings, warning => Assert.Contains("'w': 1 of 2 values are NaN or infinite", warning));
        }
        using SafetensorsFile strict = Open(bytes, new SafetensorsOptions { Strict = true });
        using Tensor fine = strict.Read("ok", Devices.Cpu);
        foreach (Func<string, Device, Tensor> read in (Func<string, Device, Tensor>[])[strict.Read, strict.ReadFloat])
            Assert.Equal("'w'", Assert.Throws<DeloraFormatException>(() => read("w", Devices.Cpu)).Field);
    }

    [Fact]
    public void Every_bfloat16_is_widened_exactly_and_every_one_that_is_not_finite_is_counted()
    {
        // All bit patterns after three more, so that no pattern keeps its lane, and a tail.
        ushort[] bits = [0x3F80, 0xC000, 0x0001, .. Enumerable.Range(0, 1 << 16).Select(value => (ushort)value)];
        byte[] bytes = File($"{{{Entry("w", "BF16", $"[{bits.Length}]", 0, 2 * bits.Length)}}}",
            [.. bits.SelectMany(BitConverter.GetBytes)]);
        var warnings = new List<string>();
        using SafetensorsFile file = Open(bytes, new SafetensorsOptions { Warn = warnings.Add });
        using Tensor stored = file.Read("w", Devices.Cpu), wide = file.ReadFloat("w", Devices.Cpu);
        Assert.Equal(bits.Select(value => (uint)value << 16), wide.ToArray<float>().Select(BitConverter.SingleToUInt32Bits));
        Assert.Equal(2, warnings.Count);
        Assert.All(warnings, warning => Assert.Contains($"'w': 256 of {bits.Length} values", warning));
    }

    [Fact]
    public void A_float64_beyond_float32_becomes_infinite_and_is_reported()
    {
        byte[] bytes = File($"{{{Entry("w", "F64", "[1]", 0, 8)}}}", BitConverter.GetBytes(1e300));
        using SafetensorsFile file = Open(bytes, new SafetensorsOptions { Strict = true });
        using Tensor stored = file.Read("w", Devices.Cpu);
        Assert.Equal([1e300], stored.ToArray<double>());
        Assert.Contains("as float32", Assert.Throws<DeloraFormatException>(() => file.ReadFloat("w", Devices.Cpu)).Reason);
    }

    [Fact]
    public void Very_many_empty_tensors_are_fine()
    {
        var text = new StringBuilder("{");
        for (int i = 0; i < 100_000; i++) text.Append(i == 0 ? "" : ",").Append(Entry($"t{i}", "U8", "[0]", 0, 0));
        using SafetensorsFile file = Open(File(text.Append('}').ToString()));
        Assert.Equal(100_000, file.Entries.Count);
    }

    [Fact]
    public void A_closed_file_says_so()
    {
        SafetensorsFile file = Open(File($"{{{Entry("w", "F32", "[1]", 0, 4)}}}", Floats(1)));
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => file.Read("w", Devices.Cpu));
    }
}
