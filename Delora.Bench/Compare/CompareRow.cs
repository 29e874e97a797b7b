using System.Text.Json;
using System.Text.Json.Serialization;

namespace Delora.Bench.Compare;

/// <summary>A line of the table and of <c>artifacts/compare-cpu.json</c>, or of <c>compare-gpu.json</c>.</summary>
/// <param name="Name">What is computed.</param>
/// <param name="Shape">Its sizes.</param>
/// <param name="Threads">Threads of either side; 0 on a GPU.</param>
/// <param name="Kind">
/// peer: Delora against libtorch, above 1 Delora is faster; own: over Delora's own frozen layer, 1 is free; peak: the part of the FMA peak that is
/// reached; memory: Delora's peak memory (of the process, on a GPU of the device) over the peer's; copy: the part of the copy's speed that is reached;
/// curve: the distance from the peer's losses over the distance of the peer's own two runs.
/// </param>
/// <param name="Ours">Delora's figure.</param>
/// <param name="Peer">The other's.</param>
/// <param name="Unit">Of both.</param>
/// <param name="Ratio">See <paramref name="Kind"/>.</param>
internal sealed record CompareRow(
    [property: JsonPropertyName("name")] string Name, [property: JsonPropertyName("shape")] string Shape,
    [property: JsonPropertyName("threads")] int Threads, [property: JsonPropertyName("kind")] string Kind,
    [property: JsonPropertyName("ours")] double Ours, [property: JsonPropertyName("peer")] double Peer,
    [property: JsonPropertyName("unit")] string Unit, [property: JsonPropertyName("ratio")] double Ratio)
{
    internal static string ToJson(IEnumerable<CompareRow> rows) =>
        JsonSerializer.Serialize(new { rows = rows.ToArray() }, new JsonSerializerOptions { WriteIndented = true });

    /// <summary>The geometric mean of the ratios of several rows, and the least of them as <see cref="Ours"/>.</summary>
    internal static CompareRow Mean(string name, IReadOnlyCollection<CompareRow> rows) => new(
        name, $"{rows.Count} shapes", rows.First().Threads, rows.First().Kind, rows.Min(row => row.Ratio), 1, "least ratio",
        Math.Exp(rows.Average(row => Math.Log(row.Ratio))));
}
