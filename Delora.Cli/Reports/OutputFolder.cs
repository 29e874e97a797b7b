namespace Delora.Cli;

/// <summary>A folder that one run writes its results to: made if missing, tried for writing before any work is done, and locked.</summary>
internal sealed class OutputFolder : IDisposable
{
    private const string LockName = ".delora-lock";
    private readonly FileStream _lock;
    private readonly bool _isNew;

    private OutputFolder(string path, FileStream @lock, bool isNew) => (Path, _lock, _isNew) = (path, @lock, isNew);

    /// <summary>The folder, absolute.</summary>
    public string Path { get; }

    /// <summary>Whether nothing is in it.</summary>
    public bool IsEmpty => Directory.EnumerateFileSystemEntries(Path).All(entry => System.IO.Path.GetFileName(entry) == LockName);

    /// <summary>Opens the folder for one run.</summary>
    /// <exception cref="InputException">It cannot be made or written to, or another run has it.</exception>
    public static OutputFolder Open(string path)
    {
        path = System.IO.Path.GetFullPath(path);
        string file = System.IO.Path.Combine(path, LockName);
        bool isNew = !Directory.Exists(path);
        try
        {
            Directory.CreateDirectory(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"output folder '{path}' cannot be made: {e.Message}", e);
        }

        try
        {
            // The operating system lets go of the lock with the process, however that ends.
            return new OutputFolder(
                path, new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose), isNew);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new InputException($"output folder '{path}' cannot be written to: {e.Message}", e);
        }
        catch (IOException e)
        {
            throw new InputException($"output folder '{path}' cannot be written to, or another run is using it: {e.Message}", e);
        }
    }

    /// <summary>Path of a file in the folder.</summary>
    public string File(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>Lets go of the folder. One that was made for a run that came to nothing is removed again.</summary>
    public void Dispose()
    {
        _lock.Dispose();
        if (!_isNew)
            return;
        try
        {
            // Refused, as it should be, where there is anything in it.
            Directory.Delete(Path, recursive: false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The folder stays.
        }
    }
}
