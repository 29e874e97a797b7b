using System.Globalization;

namespace Delora.Cli;

/// <summary>Finds the XML documentation that every .NET SDK carries beside its reference assemblies.</summary>
internal static class DocumentationFolder
{
    private const string Pack = "Microsoft.NETCore.App.Ref";

    /// <summary>
    /// The folder with the documentation: <paramref name="textFolder"/> where the user named one, else the newest
    /// <c>packs/Microsoft.NETCore.App.Ref/VERSION/ref/netX.Y</c> below the first of <paramref name="roots"/> that has one.
    /// The pack of this program's own .NET version is preferred to a newer one, so that the text stays the same when another SDK is added.
    /// </summary>
    /// <exception cref="InputException">The folder does not exist or holds no XML file; for the search, the message lists where it
    /// looked.</exception>
    public static string Find(string? textFolder, IReadOnlyList<string> roots)
    {
        if (textFolder is not null)
        {
            if (!Directory.Exists(textFolder))
                throw new InputException($"--text-folder: there is no folder '{textFolder}'");
            return HasXml(textFolder)
                ? textFolder
                : throw new InputException($"--text-folder: '{textFolder}' holds no .xml file (documentation of assemblies is wanted)");
        }

        foreach (string root in roots)
        {
            if (BestOf(Path.Combine(root, "packs", Pack)) is { } folder)
                return folder;
        }

        throw new InputException(
            $"the .NET SDK's documentation (packs/{Pack}/*/ref/net*/*.xml) was not found; looked below {string.Join(", ", roots)}; "
            + "install the .NET 10 SDK, or name a folder with such files with --text-folder");
    }

    private static string? BestOf(string packFolder)
    {
        if (!Directory.Exists(packFolder))
            return null;
        int own = Environment.Version.Major;
        return Subfolders(packFolder)
            .Select(folder => (Folder: folder, Version: PackVersion.Parse(Path.GetFileName(folder))))
            .OrderByDescending(x => x.Version.Number.Major == own)
            .ThenByDescending(x => x.Version)
            .ThenBy(x => x.Folder, StringComparer.Ordinal)
            .SelectMany(x => Subfolders(Path.Combine(x.Folder, "ref")).OrderDescending(StringComparer.Ordinal))
            .FirstOrDefault(HasXml);
    }

    private static IEnumerable<string> Subfolders(string folder) => Directory.Exists(folder) ? Directory.EnumerateDirectories(folder) : [];

    private static bool HasXml(string folder) => Directory.EnumerateFiles(folder, "*.xml").Any();

    /// <summary>A pack's version: numbers first, and a release before its previews (<c>10.0.0-rc.1</c>).</summary>
    private readonly record struct PackVersion(Version Number, bool IsRelease, string Text) : IComparable<PackVersion>
    {
        public static PackVersion Parse(string text)
        {
            int dash = text.IndexOf('-', StringComparison.Ordinal);
            string number = dash < 0 ? text : text[..dash];
            return new PackVersion(Version.TryParse(number, out Version? version) ? version : new Version(0, 0), dash < 0, text);
        }

        public int CompareTo(PackVersion other)
        {
            int order = Number.CompareTo(other.Number);
            order = order != 0 ? order : IsRelease.CompareTo(other.IsRelease);
            return order != 0 ? order : CultureInfo.InvariantCulture.CompareInfo.Compare(Text, other.Text, CompareOptions.Ordinal);
        }
    }
}
