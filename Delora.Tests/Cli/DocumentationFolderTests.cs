using Delora.Cli;

namespace Delora.Tests;

public sealed class DocumentationFolderTests
{
    private static string Pack(TemporaryFolder root, string version, string framework) =>
        Path.GetDirectoryName(root.Write($"packs/Microsoft.NETCore.App.Ref/{version}/ref/{framework}/A.xml", "<doc/>"))!;

    [Fact]
    public void OwnMajorVersionComesFirstThenTheNewest()
    {
        using TemporaryFolder root = new();
        int own = Environment.Version.Major;
        Pack(root, $"{own + 1}.0.0", $"net{own + 1}.0");
        Pack(root, $"{own}.0.9", $"net{own}.0");
        string expected = Pack(root, $"{own}.0.12", $"net{own}.0");
        Pack(root, $"{own}.0.12-rc.1", $"net{own}.0");
        Assert.Equal(expected, DocumentationFolder.Find(null, [root.Path]));
    }

    [Fact]
    public void AnotherMajorVersionIsTakenWhereTheOwnIsMissing()
    {
        using TemporaryFolder empty = new(), root = new();
        Pack(root, "8.0.1", "net8.0");
        string expected = Pack(root, "9.0.0", "net9.0");
        Directory.CreateDirectory(root.File("packs/Microsoft.NETCore.App.Ref/12.0.0/ref/net12.0"));
        Assert.Equal(expected, DocumentationFolder.Find(null, [empty.Path, root.File("absent"), root.Path]));
    }

    [Fact]
    public void MissingPackSaysWhereItLookedAndWhatToDo()
    {
        using TemporaryFolder root = new();
        InputException error = Assert.Throws<InputException>(() => DocumentationFolder.Find(null, [root.Path, root.File("other")]));
        Assert.Contains(root.Path, error.Message, StringComparison.Ordinal);
        Assert.Contains(root.File("other"), error.Message, StringComparison.Ordinal);
        Assert.Contains("--text-folder", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void NamedFolderMustExistAndHoldXml()
    {
        using TemporaryFolder root = new();
        InputException missing = Assert.Throws<InputException>(() => DocumentationFolder.Find(root.File("x"), []));
        Assert.Contains("no folder", missing.Message, StringComparison.Ordinal);
        InputException empty = Assert.Throws<InputException>(() => DocumentationFolder.Find(root.Path, []));
        Assert.Contains(".xml", empty.Message, StringComparison.Ordinal);
        root.Write("a.xml", "<doc/>");
        Assert.Equal(root.Path, DocumentationFolder.Find(root.Path, []));
    }

    [Fact]
    public void SdkOfThisRunIsFound()
    {
        // The tests are built by an SDK, so one is there; its documentation may have been taken out of a slim container image.
        string? root = DotnetRoots.Candidates().FirstOrDefault(x => Directory.Exists(Path.Combine(x, "sdk")));
        Assert.SkipWhen(root is null, "no .NET SDK beside the runtime that runs the tests");
        bool hasPack = Directory.Exists(Path.Combine(root, "packs", "Microsoft.NETCore.App.Ref"));
        Assert.SkipUnless(hasPack, "this SDK was installed without its reference pack");
        Assert.True(Directory.EnumerateFiles(DocumentationFolder.Find(null, DotnetRoots.Candidates()), "System.Runtime.xml").Any());
    }
}
