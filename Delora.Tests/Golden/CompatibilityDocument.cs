namespace Delora.Tests.Golden;

/// <summary>docs/peft-compatibility.md, which says what is written down in code as well: tests compare the two.</summary>
internal static class CompatibilityDocument
{
    /// <summary>Its text; skips the test where the tests do not lie in the repository.</summary>
    public static string ReadOrSkip()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Delora.sln")))
                return File.ReadAllText(Path.Combine(folder.FullName, "docs", "peft-compatibility.md"));
        Assert.Skip("the tests do not lie in the repository");
        return "";
    }
}
