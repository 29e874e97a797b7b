using System.Globalization;

namespace Delora.Core;

/// <summary>How much memory the system leaves to this process.</summary>
internal static class HostMemory
{
    private const string CgroupRoot = "/sys/fs/cgroup";

    /// <summary>
    /// Bytes that the process can still take: what Linux calls available (<c>MemAvailable</c>, which counts what caches give back), or less where a
    /// control group of the process has a limit; on other systems the memory that .NET may use, less what the process has.
    /// </summary>
    internal static long AvailableBytes
    {
        get
        {
            long available = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes - Environment.WorkingSet;
            if (Number(Lines("/proc/meminfo"), "MemAvailable:") is { } kibibytes) available = kibibytes * 1024;
            foreach (string folder in ControlGroups())
            {
                available = Math.Min(available, Left(folder, "memory.max", "memory.current", "inactive_file"));
                available = Math.Min(available, Left(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"));
            }
            return Math.Max(0, available);
        }
    }

    /// <summary>What a control group leaves: pages of files that nobody has touched lately are given back when memory is asked for.</summary>
    internal static long Left(string folder, string limitFile, string usageFile, string inactive)
    {
        if (First(Path.Combine(folder, limitFile)) is not { } limit || First(Path.Combine(folder, usageFile)) is not { } usage) return long.MaxValue;
        long files = Number(Lines(Path.Combine(folder, "memory.stat")), inactive) ?? 0;
        return limit - Math.Max(0, usage - files);
    }

    /// <summary>The folders of the process's memory groups and of those above them, for both versions of control groups.</summary>
    private static IEnumerable<string> ControlGroups()
    {
        foreach (string line in Lines("/proc/self/cgroup"))
        {
            string[] parts = line.Split(':', 3);
            if (parts.Length < 3 || (parts[1].Length > 0 && !parts[1].Split(',').Contains("memory"))) continue;
            string root = parts[1].Length == 0 ? CgroupRoot : Path.Combine(CgroupRoot, "memory");
            // In a container the path may be that of the host: the group that is mounted stands for it.
            yield return root;
            for (string path = parts[2].Trim('/'); path.Length > 0; path = Path.GetDirectoryName(path) ?? "")
                yield return Path.Combine(root, path);
        }
    }

    /// <summary>The number of a file; null where there is none, or it says <c>max</c>.</summary>
    private static long? First(string path) =>
        Lines(path) is [var line, ..] && long.TryParse(line, NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? value : null;

    /// <summary>The number behind a name, in lines of names and numbers.</summary>
    private static long? Number(string[] lines, string name)
    {
        foreach (string line in lines)
            if (line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [var first, var second, ..] && first == name)
                return long.TryParse(second, NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? value : null;
        return null;
    }

    private static string[] Lines(string path)
    {
        try
        {
            return File.Exists(path) ? File.ReadAllLines(path) : [];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
