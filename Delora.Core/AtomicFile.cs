namespace Delora.Core;

/// <summary>Replaces a file as a whole or not at all: whoever looks at the path sees the old contents or the new, never a part.</summary>
public static class AtomicFile
{
    /// <summary>
    /// Writes a temporary file beside <paramref name="path"/>, flushes it to disk and renames it over the old one. A reader that holds the
    /// old file open keeps the old contents. On any failure the old file is as it was and the temporary file is gone.
    /// </summary>
    /// <param name="path">The file to make or to replace. Its folder must exist.</param>
    /// <param name="write">Writes the whole contents.</param>
    /// <exception cref="DeloraException">The system refused (no such folder, no permission, disk full).</exception>
    public static void Write(string path, Action<Stream> write)
    {
        string full = Path.GetFullPath(path);
        string temporary = Path.Combine(Path.GetDirectoryName(full)!, $".{Path.GetFileName(full)}.{Path.GetRandomFileName()}.tmp");
        try
        {
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, full, overwrite: true);
        }
        catch (Exception error)
        {
            TryDelete(temporary);
            if (error is IOException or UnauthorizedAccessException)
                throw new DeloraException($"{path}: could not be written, nothing was changed: {error.Message}", error);
            throw;
        }
    }

    private static void TryDelete(string file)
    {
        try
        {
            File.Delete(file);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The failure that brought us here is the one to report.
        }
    }
}
