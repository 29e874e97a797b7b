using Microsoft.Win32.SafeHandles;

namespace Delora.Core;

/// <summary>
/// Opening files that nobody vouches for: regular files, or links to one; never a pipe or a device, on which a reader would hang.
/// </summary>
internal static class RegularFile
{
    /// <summary>Opens a file for reading. It may be replaced or deleted while it is open.</summary>
    /// <exception cref="DeloraFormatException">It is not there, empty, not readable or not a regular file; says why.</exception>
    internal static SafeFileHandle Open(string path)
    {
        try
        {
            // Looked at before it is opened, because opening a FIFO waits for a writer. Pipes, devices and sockets have no length.
            var info = new FileInfo(path);
            if (Directory.Exists(info.FullName)) throw new DeloraFormatException(path, null, "is a folder, not a file");
            if (!info.Exists) throw new DeloraFormatException(path, null, "there is no such file");
            if (info.ResolveLinkTarget(returnFinalTarget: true) is { } target) info = new FileInfo(target.FullName);
            if (!info.Exists) throw new DeloraFormatException(path, null, $"is a link to {info.FullName}, which is not there");
            if (info.Length == 0 || (info.Attributes & FileAttributes.Device) != 0)
                throw new DeloraFormatException(path, null, "is empty (0 bytes), or not a regular file");
            return File.OpenHandle(info.FullName, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new DeloraFormatException(path, null, $"cannot be opened: {error.Message}", error);
        }
    }

    /// <summary>Fills the destination from an offset on; false where the file ends before.</summary>
    internal static bool ReadFully(SafeFileHandle handle, Span<byte> destination, long offset)
    {
        while (destination.Length > 0)
        {
            int count = RandomAccess.Read(handle, destination, offset);
            if (count == 0) return false;
            destination = destination[count..];
            offset += count;
        }
        return true;
    }

    /// <summary>The error about a file that stands for another one.</summary>
    internal static DeloraFormatException Pointer(string path) =>
        new(path, null, "is a Git LFS pointer: the file itself was not downloaded (git lfs pull)");

    /// <summary>Reads a whole file.</summary>
    /// <exception cref="DeloraFormatException">
    /// It cannot be opened or read, has more than <paramref name="limit"/> bytes, or is a Git LFS pointer.
    /// </exception>
    internal static byte[] ReadAll(string path, long limit)
    {
        try
        {
            using SafeFileHandle handle = Open(path);
            long length = RandomAccess.GetLength(handle);
            if (length > limit) throw new DeloraFormatException(path, null, $"has {length} bytes; more than {limit} are not read.");
            byte[] bytes = new byte[length];
            if (!ReadFully(handle, bytes, 0))
                throw new DeloraFormatException(path, null, "ended early: it was shortened while it was read.");
            return bytes.AsSpan().StartsWith("version https://git-lfs.github.com/spec/"u8) ? throw Pointer(path) : bytes;
        }
        catch (IOException error)
        {
            throw new DeloraFormatException(path, null, $"cannot be read: {error.Message}", error);
        }
    }
}
