using Delora.Core;

namespace Delora.Nn;

/// <summary>Folders that are written, and files that another file of a folder names.</summary>
internal static class FolderFile
{
    /// <summary>The path of a named file: a plain name, and no way out of the folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="name">A name from a file.</param>
    /// <param name="source">The file that gave the name.</param>
    /// <param name="field">Where in it.</param>
    /// <exception cref="DeloraFormatException">The name is no plain file name, or a link that leads out of the folder.</exception>
    internal static string Resolve(string folder, string name, string source, string field)
    {
        if (name.Length == 0 || name is "." or ".." || name.AsSpan().IndexOfAny("/\\:\0") >= 0 || Path.IsPathRooted(name))
            throw new DeloraFormatException(source, field, $"'{Printable(name)}' is not the plain name of a file in the folder.");
        string path = Path.Combine(folder, name);
        try
        {
            // Asking for the target of a file that is not there is an error; that it is missing is the caller's to say.
            var info = new FileInfo(path);
            if (info.LinkTarget is not null && info.ResolveLinkTarget(returnFinalTarget: true) is { } target
                && Path.GetDirectoryName(target.FullName) is var place && place != RealPath(folder)
                // Where HuggingFace's cache keeps the files that snapshots/REVISION links to.
                && place != RealPath(Path.Combine(folder, "..", "..", "blobs")))
                throw new DeloraFormatException(source, field, $"'{name}' is a link that leads out of the folder.");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new DeloraFormatException(source, field, $"'{name}' cannot be read: {error.Message}", error);
        }
        return path;
    }

    /// <summary>Makes a folder to write to, where it is not there.</summary>
    /// <exception cref="DeloraException">The system refused.</exception>
    internal static void Make(string path)
    {
        try
        {
            Directory.CreateDirectory(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new DeloraException($"{path}: the folder could not be made: {error.Message}", error);
        }
    }

    /// <summary>Removes a file that a killed process left unfinished; one that cannot be removed stays.</summary>
    internal static void TryDelete(string file)
    {
        try
        {
            File.Delete(file);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // It has a name that nobody looks at.
        }
    }

    private static string RealPath(string folder)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        var info = new DirectoryInfo(full);
        return info.LinkTarget is null ? full : info.ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? full;
    }

    private static string Printable(string name) => new([.. name.Select(c => char.IsControl(c) ? '?' : c)]);
}
