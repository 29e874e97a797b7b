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

        // A new folder that nothing was written to goes; another is left as it was.
        Assert.False(Directory.Exists(path));
        root.Write("a/b/x.html", "");
        using (OutputFolder folder = OutputFolder.Open(path))
            Assert.False(folder.IsEmpty);
        Assert.Equal(["x.html"], Directory.EnumerateFileSystemEntries(path).Select(Path.GetFileName));
        File.Delete(root.File("a/b/x.html"));
        using (OutputFolder folder = OutputFolder.Open(path))
            Assert.True(folder.IsEmpty);
        Assert.True(Directory.Exists(path));
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
