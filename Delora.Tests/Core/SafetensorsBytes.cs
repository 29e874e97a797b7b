using System.Buffers.Binary;
using System.Text;
using Delora.Core;

namespace Delora.Tests.Core;

/// <summary>Puts safetensors files together byte by byte, right and wrong ones.</summary>
internal static class SafetensorsBytes
{
    /// <summary>Header length, header, data.</summary>
    public static byte[] File(string header, params byte[] data) => File(Encoding.UTF8.GetBytes(header), data);

    public static byte[] File(byte[] header, params byte[] data)
    {
        var length = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
        return [.. length, .. header, .. data];
    }

    public static byte[] WithHeaderLength(ulong headerLength, int bytesAfter = 16)
    {
        var file = new byte[8 + bytesAfter];
        BinaryPrimitives.WriteUInt64LittleEndian(file, headerLength);
        file.AsSpan(8).Fill((byte)' ');
        return file;
    }

    /// <summary>One entry of a header.</summary>
    public static string Entry(string name, string dtype, string shape, long begin, long end) =>
        $"\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[{begin},{end}]}}";

    /// <summary>float32 values as bytes.</summary>
    public static byte[] Floats(params float[] values) => [.. values.SelectMany(BitConverter.GetBytes)];

    /// <summary>Opens the bytes as a file, which must be refused within a second and without memory beyond the file's size.</summary>
    /// <returns>The error.</returns>
    public static DeloraFormatException Refused(byte[] bytes)
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "model.safetensors");
        System.IO.File.WriteAllBytes(path, bytes);
        // 64 KiB for strings, the exception and the file handle, none of which depends on what the file claims.
        return Refused(path, bytes.Length + (64 << 10));
    }

    public static DeloraFormatException Refused(string path, long allowedBytes)
    {
        // The first open of the process also pays for loading and compiling the code.
        Assert.Throws<DeloraFormatException>(() => SafetensorsFile.Open(path));
        long before = GC.GetAllocatedBytesForCurrentThread();
        long start = System.Diagnostics.Stopwatch.GetTimestamp();
        var error = Assert.Throws<DeloraFormatException>(() => SafetensorsFile.Open(path));
        TimeSpan time = System.Diagnostics.Stopwatch.GetElapsedTime(start);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.Equal(path, error.File);
        Assert.Contains(path, error.Message);
        Assert.True(allocated <= allowedBytes, $"{allocated} bytes were allocated to refuse the file, {allowedBytes} are allowed");
        Assert.True(time < TimeSpan.FromSeconds(1), $"{time} to refuse the file");
        return error;
    }
}
