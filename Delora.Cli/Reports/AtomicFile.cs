using System.Text;

namespace Delora.Cli;

/// <summary>Writes a file so that its name shows either the old content or the whole new one, never a part.</summary>
internal static class AtomicFile
{
    /// <summary>Writes UTF-8 text to a temporary file beside <paramref name="path"/>, flushes it to disk and renames it.</summary>
    public static void WriteAllText(string path, string text)
    {
        string temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            using (FileStream stream = new(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None))
            {
                stream.Write(new UTF8Encoding(encoderShouldEmitUTF8Identifier: false).GetBytes(text));
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }
}
