using System.Text;
using Delora.Core;
using Delora.Kernels;
using static Delora.Tests.Core.SafetensorsBytes;

namespace Delora.Tests.Core;

/// <summary>What is refused, each for its own reason.</summary>
public class SafetensorsBadInputTests
{
    private static void Expect(string? field, string reason, byte[] file)
    {
        DeloraFormatException error = Refused(file);
        Assert.Equal(field, error.Field);
        Assert.Contains(reason, error.Reason);
    }

    private static void ExpectHeader(string? field, string reason, string header, int dataBytes = 4) =>
        Expect(field, reason, File(header, new byte[dataBytes]));

    [Fact] public void Empty_file() => Expect(null, "is empty (0 bytes)", []);

    [Fact] public void Seven_bytes() => Expect(null, "has 7 bytes", new byte[7]);

    [Fact] public void Header_length_zero() => Expect("header length", "is 0", WithHeaderLength(0));

    [Fact]
    public void Header_length_above_the_limit() =>
        Expect("header length", "above the format's limit", WithHeaderLength(100_000_001));

    [Fact]
    public void Header_length_of_two_to_the_64_minus_1() =>
        Expect("header length", "18446744073709551615 is above the format's limit", WithHeaderLength(ulong.MaxValue));

    [Fact]
    public void Header_length_of_minus_two_to_the_63() =>
        Expect("header length", "above the format's limit", WithHeaderLength(1UL << 63));

    [Fact]
    public void Header_beyond_the_end() =>
        Expect("header length", "17 reaches beyond the end", WithHeaderLength(17, bytesAfter: 16));

    [Fact] public void Header_that_starts_with_no_UTF8() => Expect("header", "not valid UTF-8", File([0xFF, (byte)'{', (byte)'}']));

    [Fact]
    public void Name_that_is_no_UTF8()
    {
        byte[] header = Encoding.Latin1.GetBytes($"{{{Entry("caf\u00e9", "F32", "[1]", 0, 4)}}}");
        Expect("header", "not valid UTF-8", File(header, new byte[4]));
    }

    [Fact]
    public void Name_with_half_a_surrogate_pair() =>
        ExpectHeader("header", "half a surrogate pair", $"{{{Entry(@"\ud83d", "F32", "[1]", 0, 4)}}}");

    [Theory]
    [InlineData("{")]
    [InlineData("{\"w\"")]
    [InlineData("{\"w\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}")]
    [InlineData("{\"w\":{\"dtype\":\"F32\",\"shape\":[1")]
    [InlineData("   ")]
    [InlineData("{} {}")]
    [InlineData("{}x")]
    [InlineData("{}\0")]
    public void Header_that_is_no_JSON(string header) => ExpectHeader("header", "not valid JSON", header, 0);

    [Theory]
    [InlineData("[]")]
    [InlineData("[{\"w\":1}]")]
    [InlineData("1")]
    [InlineData("null")]
    public void Header_that_is_no_object(string header) => ExpectHeader("header", "must be a JSON object", header, 0);

    [Theory]
    [InlineData("[", "", "")]
    [InlineData("{\"a\":", "1", "}")]
    [InlineData("{\"__metadata__\":", "1", "}")]
    public void Depth_of_ten_thousand(string open, string inner, string close)
    {
        var text = new StringBuilder();
        for (int i = 0; i < 10_000; i++) text.Append(open);
        text.Append(inner);
        for (int i = 0; i < 10_000; i++) text.Append(close);
        Refused(File(text.ToString()));
    }

    [Theory]
    [InlineData("abc", "abc")]
    [InlineData("abc", "\\u0061bc")]
    public void Name_twice(string first, string second) =>
        ExpectHeader("'abc'", "appears twice", $"{{{Entry(first, "F32", "[1]", 0, 4)},{Entry(second, "F32", "[1]", 4, 8)}}}", 8);

    [Theory]
    [InlineData("\"dtype\":\"F32\"", "dtype")]
    [InlineData("\"d\\u0074ype\":\"F32\"", "dtype")]
    [InlineData("\"shape\":[1]", "shape")]
    [InlineData("\"data_offsets\":[0,4]", "data_offsets")]
    public void Property_twice(string again, string property) =>
        ExpectHeader("'w'", $"{property} appears twice", $"{{\"w\":{{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],{again}}}}}");

    [Fact]
    public void Unknown_dtype()
    {
        DeloraFormatException error = Refused(File($"{{{Entry("w", "F33", "[1]", 0, 4)}}}", new byte[4]));
        Assert.Equal("'w'", error.Field);
        Assert.Contains("unknown dtype 'F33'", error.Reason);
        foreach (string known in (string[])["F32", "F64", "BF16", "F16", "I32", "I64", "U8"]) Assert.Contains(known, error.Reason);
    }

    [Theory]
    [InlineData("[-1]", "holds -1")]
    [InlineData("[2.0]", "holds 2.0")]
    [InlineData("[1e1]", "holds 1e1")]
    [InlineData("[9223372036854775808]", "holds 9223372036854775808")]
    [InlineData("[18446744073709551617]", "holds 18446744073709551617")]
    [InlineData("[2147483648]", "larger than 2147483647")]
    [InlineData("[\"1\"]", "holds a string")]
    [InlineData("[null]", "holds null")]
    [InlineData("[[1]]", "holds an array")]
    [InlineData("1", "must be an array")]
    [InlineData("null", "must be an array")]
    [InlineData("[2147483647,2147483647,2147483647]", "more than 2^63 elements")]
    [InlineData("[0,2147483647,2147483647,2147483647]", "more than 2^63 elements")]
    [InlineData("[2147483647,2147483647]", "is larger than any file")]
    [InlineData("[1,1,1,1,1,1,1,1,1]", "more than 8 dimensions")]
    public void Shape_that_is_none(string shape, string reason) =>
        ExpectHeader("'w'", reason, $"{{{Entry("w", "F32", shape, 0, 4)}}}");

    [Fact]
    public void A_million_dimensions()
    {
        string shape = $"[{string.Join(',', Enumerable.Repeat('1', 1_000_000))}]";
        ExpectHeader("'w'", "more than 8 dimensions", $"{{{Entry("w", "F32", shape, 0, 4)}}}");
    }

    [Theory]
    [InlineData("[4,0]", "begin 4 lies behind end 0")]
    [InlineData("[0,8]", "beyond the 4 bytes of data")]
    [InlineData("[0,9223372036854775807]", "beyond the 4 bytes of data")]
    [InlineData("[0,18446744073709551615]", "holds 18446744073709551615")]
    [InlineData("[-4,0]", "holds -4")]
    [InlineData("[0,4.0]", "holds 4.0")]
    [InlineData("[0]", "too few elements")]
    [InlineData("[]", "too few elements")]
    [InlineData("[0,4,4]", "array of two integers")]
    [InlineData("{}", "array of two integers")]
    public void Offsets_that_are_none(string offsets, string reason) =>
        ExpectHeader("'w'", reason, $"{{\"w\":{{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":{offsets}}}}}");

    [Theory]
    [InlineData("\"dtype\":\"F32\",\"shape\":[1]", "has no data_offsets")]
    [InlineData("\"dtype\":\"F32\",\"data_offsets\":[0,4]", "has no shape")]
    [InlineData("\"shape\":[1],\"data_offsets\":[0,4]", "has no dtype")]
    [InlineData("\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]", "dtype must be a string, is a number")]
    [InlineData("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"strides\":[1]", "unknown property 'strides'")]
    public void Properties_missing_or_unknown(string properties, string reason) =>
        ExpectHeader("'w'", reason, $"{{\"w\":{{{properties}}}}}");

    [Fact] public void Tensor_that_is_no_object() => ExpectHeader("'w'", "must be an object", "{\"w\":[]}", 0);

    [Fact]
    public void A_hole() =>
        ExpectHeader("'b'", "bytes 4 to 8 before it belong to no tensor",
            $"{{{Entry("a", "F32", "[1]", 0, 4)},{Entry("b", "F32", "[1]", 8, 12)}}}", 12);

    [Fact]
    public void A_hole_at_the_start() =>
        ExpectHeader("'a'", "bytes 0 to 4 before it belong to no tensor", $"{{{Entry("a", "F32", "[1]", 4, 8)}}}", 8);

    [Fact]
    public void An_overlap() =>
        ExpectHeader("'b'", "overlap", $"{{{Entry("a", "F32", "[2]", 0, 8)},{Entry("b", "F32", "[2]", 4, 12)}}}", 16);

    [Fact]
    public void An_overlap_with_bytes_to_spare() =>
        ExpectHeader("'b'", "inside the tensor before it", $"{{{Entry("a", "U8", "[2]", 0, 2)},{Entry("b", "U8", "[2]", 1, 3)}}}", 8);

    [Fact]
    public void Trailing_bytes() =>
        Expect(null, "something was appended", [.. File($"{{{Entry("w", "F32", "[1]", 0, 4)}}}", new byte[4]), .. "PK\u0005\u0006"u8]);

    [Fact] public void Data_without_tensors() => ExpectHeader(null, "4 bytes after the last tensor", "{}");

    [Fact] public void Two_bytes_short() => ExpectHeader("'w'", "beyond the 2 bytes of data", $"{{{Entry("w", "F32", "[1]", 0, 4)}}}", 2);

    [Theory]
    [InlineData("F32", "[2]")]
    [InlineData("F64", "[1]")]
    [InlineData("F32", "[0]")]
    [InlineData("F4", "[7]")]
    public void Shape_and_type_that_do_not_fit_the_bytes(string dtype, string shape) =>
        ExpectHeader("'w'", "data_offsets give 4 bytes", $"{{{Entry("w", dtype, shape, 0, 4)}}}");

    [Theory]
    [InlineData("{\"format\":1}", "the value of 'format' must be a string, is a number")]
    [InlineData("{\"format\":null}", "must be a string, is null")]
    [InlineData("{\"format\":{\"a\":\"b\"}}", "must be a string, is an object")]
    [InlineData("{\"format\":\"pt\",\"form\\u0061t\":\"np\"}", "'format' appears twice")]
    [InlineData("\"pt\"", "must be an object of strings")]
    [InlineData("{},\"__metadata__\":{}", "appears twice")]
    public void Metadata_that_is_none(string metadata, string reason) =>
        ExpectHeader("__metadata__", reason, $"{{\"__metadata__\":{metadata}}}", 0);

    [Fact]
    public void A_million_tensors_on_one_range()
    {
        var text = new StringBuilder("{");
        for (int i = 0; i < 1_000_000; i++) text.Append(i == 0 ? "" : ",").Append(Entry($"t{i}", "U8", "[4]", 0, 4));
        ExpectHeader("'t1'", "overlap", text.Append('}').ToString());
    }

    [Fact]
    public void Names_are_shown_escaped_and_cut()
    {
        DeloraFormatException error = Refused(File($"{{{Entry("\\u001b[31m" + new string('x', 5000), "F33", "[1]", 0, 4)}}}", new byte[4]));
        Assert.StartsWith("'\\u001b[31mxxx", error.Field);
        Assert.DoesNotContain('\u001b', error.Message);
        Assert.EndsWith("(5005 characters)'", error.Field);
    }

    [Fact]
    public void A_Git_LFS_pointer() =>
        Expect(null, "Git LFS pointer", [.. "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"u8]);

    [Fact] public void A_pickled_checkpoint() => Expect(null, "ZIP archive", [.. "PK\u0003\u0004"u8, .. new byte[100]]);

    [Fact]
    public void Missing_file_and_folder()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("no such file", Refused(Path.Combine(folder.Path, "none"), 64 << 10).Reason);
        string link = Path.Combine(folder.Path, "link");
        System.IO.File.CreateSymbolicLink(link, "gone");
        Assert.Contains("which is not there", Refused(link, 64 << 10).Reason);
        Assert.Contains("is a folder", Refused(folder.Path, 64 << 10).Reason);
        Assert.Contains("cannot be opened", Refused(Path.Combine(folder.Path, "a\0b"), 64 << 10).Reason);
    }

    [Fact]
    public void A_pipe_and_an_endless_device_are_refused_without_waiting()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() || OperatingSystem.IsMacOS(), "Windows has no FIFOs in folders");
        using var folder = new TemporaryFolder();
        string pipe = Path.Combine(folder.Path, "pipe"), link = Path.Combine(folder.Path, "link");
        using (var process = System.Diagnostics.Process.Start("mkfifo", [pipe])) process.WaitForExit();
        System.IO.File.CreateSymbolicLink(link, "/dev/zero");
        foreach (string path in (string[])[pipe, "/dev/zero", link])
            Assert.Contains("not a regular file", Refused(path, 64 << 10).Reason);
    }

    [Fact]
    public void A_file_that_shrinks_after_it_was_opened()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "w.safetensors");
        System.IO.File.WriteAllBytes(path, File($"{{{Entry("w", "F32", "[2]", 0, 8)}}}", new byte[8]));
        using SafetensorsFile file = SafetensorsFile.Open(path);
        using (var stream = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite)) stream.SetLength(stream.Length - 1);
        Assert.Contains("ended early", Assert.Throws<DeloraFormatException>(() => file.Read("w", Devices.Cpu)).Reason);
    }
}
