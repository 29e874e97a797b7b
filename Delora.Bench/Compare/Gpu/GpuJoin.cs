using System.Text.Json;

namespace Delora.Bench.Compare.Gpu;

/// <summary>Puts Delora's rows beside those of the peers: ratios, a table, and one file of JSON like that of <c>compare cpu</c>.</summary>
internal static class GpuJoin
{
    internal static int Run(string folder)
    {
        GpuResult[] own = Read(Path.Combine(folder, "delora.jsonl")), peers = Read(Path.Combine(folder, "peers.jsonl"));
        var rows = new List<CompareRow>();
        foreach (GpuResult result in own.Where(result => result.Error is null))
            foreach (GpuResult peer in peers.Where(peer => peer.Error is null && (peer.Name, peer.Shape) == (result.Name, result.Shape)))
            {
                string name = $"{result.Name}; {peer.Side}";
                rows.Add(new(name, result.Shape, 0, "peer", result.Milliseconds, peer.Milliseconds, "ms", peer.Milliseconds / result.Milliseconds));
                if (result.PeakMiB > 0 && peer.PeakMiB > 0)
                    rows.Add(new(name, result.Shape, 0, "memory", result.PeakMiB, peer.PeakMiB, "MiB", result.PeakMiB / peer.PeakMiB));
            }
        rows.AddRange(OverCopy(own));
        rows.AddRange(OverFrozen([.. own, .. peers]));
        rows.AddRange(OverLaunches(own));
        rows.AddRange(GpuCurve.Compare(Path.Combine(folder, "curve")));
        CompareRun.Print(rows);
        foreach (GpuResult failed in own.Concat(peers).Where(result => result.Error is not null))
            Console.WriteLine($"{failed.Side}: {failed.Name} {failed.Shape} failed: {failed.Error}");
        string path = Path.Combine(folder, "compare-gpu.json");
        string machine = Path.Combine(folder, "machine.txt");
        JsonElement[] parts = [.. Lines(Path.Combine(folder, "parts.jsonl")).Select(line => JsonSerializer.Deserialize<JsonElement>(line))];
        var all = new { machine = File.Exists(machine) ? File.ReadAllLines(machine) : [], parts, rows, results = (GpuResult[])[.. own, .. peers] };
        File.WriteAllText(path, JsonSerializer.Serialize(all, new JsonSerializerOptions(GpuRun.Json) { WriteIndented = true }));
        Console.WriteLine($"{rows.Count} ratios of {own.Length} own rows and {peers.Length} of peers in {path}");
        return own.Concat(peers).Any(result => result.Error is not null) ? 1 : 0;
    }

    /// <summary>The part of the measured copy's speed that a row that moves memory reaches.</summary>
    private static IEnumerable<CompareRow> OverCopy(GpuResult[] own) =>
        own.FirstOrDefault(result => result.Name == GpuPlan.Full[0].Name && result.Error is null) is { } copy
            ? own.Where(result => result is { Unit: "GB/s", Error: null } && result != copy)
                .Select(result => new CompareRow(result.Name, result.Shape, 0, "copy", result.Rate, copy.Rate, "GB/s", result.Rate / copy.Rate))
            : [];

    /// <summary>A DeLoRA layer over the frozen layer of the same side.</summary>
    private static IEnumerable<CompareRow> OverFrozen(GpuResult[] all) =>
        from adapted in all
        where adapted is { Error: null } && adapted.Name.StartsWith("DeLoRA layer", StringComparison.Ordinal)
        let frozen = all.FirstOrDefault(other => other.Error is null && other.Side == adapted.Side && other.Shape == adapted.Shape
            && other.Name == adapted.Name.Replace("DeLoRA", "frozen"))
        where frozen is not null
        select new CompareRow($"{adapted.Name}; {adapted.Side} over its own frozen layer", adapted.Shape, 0, "own",
            adapted.Milliseconds, frozen.Milliseconds, "ms", adapted.Milliseconds / frozen.Milliseconds);

    /// <summary>What a graph gains: the time of a step launch by launch over that of the same step as a trainer takes it.</summary>
    private static IEnumerable<CompareRow> OverLaunches(GpuResult[] own) =>
        from step in own
        let launches = own.FirstOrDefault(other => other.Error is null && other.Shape == step.Shape && other.Name == $"{step.Name}, launch by launch")
        where step.Error is null && launches is not null
        select new CompareRow(step.Name, step.Shape, 0, "graph", step.Milliseconds, launches.Milliseconds, "ms", launches.Milliseconds / step.Milliseconds);

    private static GpuResult[] Read(string path) =>
        [.. Lines(path).Select(line => JsonSerializer.Deserialize<GpuResult>(line) ?? throw new FormatException($"{path}: a line holds no result"))];

    /// <summary>The whole lines of a file; none where there is no file. A last line that was cut off is left out.</summary>
    private static string[] Lines(string path)
    {
        if (!File.Exists(path)) return [];
        string text = File.ReadAllText(path);
        return text[..(text.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}
