namespace Delora.Tests.Golden;

/// <summary>A folder of data that may be absent: then it has the reason for which tests are skipped.</summary>
internal sealed record SharedFolder(string Path, string? SkipReason)
{
    /// <summary>The path; skips the test where the folder is absent.</summary>
    public string PathOrSkip()
    {
        Assert.SkipUnless(SkipReason is null, SkipReason ?? "");
        return Path;
    }
}

/// <summary>
/// Finds models with real weights, and golden data that are too large for the project's own: in the folders that <c>DELORA_MODELS_DIR</c>
/// and
/// <c>DELORA_GOLDEN_DIR</c> name, else in <c>shared/models</c> and <c>shared/golden</c> beside the repository.
/// </summary>
internal static class SharedModels
{
    public const string ModelsVariable = "DELORA_MODELS_DIR";

    /// <summary>A model's folder, for instance <c>stories260k</c>.</summary>
    public static SharedFolder Folder(string name) => Find(ModelsVariable, "models", name);

    /// <summary>A category of golden data, for instance <c>finetune</c>.</summary>
    public static SharedFolder GoldenFolder(string category) => Find(GoldenCases.Variable, "golden", category);

    private static SharedFolder Find(string variable, string shared, string name)
    {
        string? root = Environment.GetEnvironmentVariable(variable) is { Length: > 0 } other ? other : BesideRepository(shared);
        if (root is null) return new SharedFolder(name, $"the tests do not lie in the repository, and {variable} is not set");
        string path = Path.Combine(root, name);
        return new SharedFolder(path, Directory.Exists(path) ? null : $"there is no folder {path} ({variable})");
    }

    private static string? BesideRepository(string shared)
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(Path.Combine(folder.FullName, "Delora.sln")))
                return Path.GetFullPath(Path.Combine(folder.FullName, "..", "shared", shared));
        return null;
    }
}
