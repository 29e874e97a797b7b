using Delora.Cli;

namespace Delora.Tests;

public sealed class OutputFolderTests
{
    [Fact]
    public void FolderIsMadeLockedAndLeftWithoutTrace()
    {
        using TemporaryFolder root = new();
        string path = root.File("a/b");
        using (OutputFolder folder = OutputFolder.Open(path))
        {
            Assert.Equal(Path.Combine(path, "x.html"), folder.File("x.html"));
            Assert.Throws<InputException>(() => OutputFolder.Open(path));
        }

        Assert.Empty(Directory.EnumerateFileSystemEntries(path));
        OutputFolder.Open(path).Dispose();
    }

    [Fact]
    public void FileInTheWayIsRefused()
    {
        using TemporaryFolder root = new();
        string file = root.Write("file", "");
        Assert.Contains(file, Assert.Throws<InputException>(() => OutputFolder.Open(file)).Message, StringComparison.Ordinal);
        Assert.Throws<InputException>(() => OutputFolder.Open(Path.Combine(file, "below")));
    }
}
