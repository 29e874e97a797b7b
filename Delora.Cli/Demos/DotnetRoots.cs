using System.Runtime.InteropServices;

namespace Delora.Cli;

/// <summary>The folders in which a .NET SDK may be installed, best guess first.</summary>
internal static class DotnetRoots
{
    private static readonly string[] UsualPlaces =
        ["/usr/share/dotnet", "/usr/lib/dotnet", "/usr/lib64/dotnet", "/usr/local/share/dotnet", "/opt/dotnet"];

    /// <summary>
    /// Candidates without duplicates: what the host was told (DOTNET_ROOT, DOTNET_HOST_PATH), where this process runs from (its executable
    /// and its runtime directory), what PATH leads to, links resolved, and the usual places. They need not exist.
    /// </summary>
    /// <remarks>
    /// One process may run on a runtime whose root holds no packs (a runtime-only install) while the SDK that built it sits elsewhere:
    /// hence a list, and the caller takes the first that has what it needs.
    /// </remarks>
    public static IReadOnlyList<string> Candidates()
    {
        List<string> roots = [];

        void Add(string? folder)
        {
            if (string.IsNullOrWhiteSpace(folder) || !Path.IsPathFullyQualified(folder))
                return;
            string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
            StringComparison comparison = OperatingSystem.IsWindows() ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal;
            if (!roots.Exists(known => known.Equals(full, comparison)))
                roots.Add(full);
        }

        void AddFolderOf(string? file)
        {
            if (string.IsNullOrWhiteSpace(file) || !Path.IsPathFullyQualified(file))
                return;
            Add(Path.GetDirectoryName(ResolveLinks(file)));
            Add(Path.GetDirectoryName(file));
        }

        Add(Environment.GetEnvironmentVariable("DOTNET_ROOT"));
        Add(Environment.GetEnvironmentVariable($"DOTNET_ROOT_{RuntimeInformation.ProcessArchitecture.ToString().ToUpperInvariant()}"));
        AddFolderOf(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH"));
        if (IsDotnetHost(Environment.ProcessPath))
            AddFolderOf(Environment.ProcessPath);

        // <root>/shared/Microsoft.NETCore.App/<version>/ : three levels up.
        DirectoryInfo runtime = new(Path.TrimEndingDirectorySeparator(RuntimeEnvironment.GetRuntimeDirectory()));
        Add(runtime.Parent?.Parent?.Parent?.FullName);

        string host = OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet";
        string path = Environment.GetEnvironmentVariable("PATH") ?? "";
        foreach (string folder in path.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (Path.IsPathFullyQualified(folder) && File.Exists(Path.Combine(folder, host)))
                AddFolderOf(Path.Combine(folder, host));
        }

        string home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        if (home.Length > 0)
            Add(Path.Combine(home, ".dotnet"));
        if (OperatingSystem.IsWindows())
        {
            Add(Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.ProgramFiles), "dotnet"));
        }
        else
        {
            foreach (string folder in UsualPlaces)
                Add(folder);
        }

        return roots;
    }

    private static bool IsDotnetHost(string? path) =>
        string.Equals(Path.GetFileNameWithoutExtension(path), "dotnet", StringComparison.OrdinalIgnoreCase);

    /// <summary>The file that a link finally leads to; the path itself where it is no link or cannot be followed.</summary>
    private static string ResolveLinks(string file)
    {
        try
        {
            return File.ResolveLinkTarget(file, returnFinalTarget: true)?.FullName ?? file;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return file;
        }
    }
}
