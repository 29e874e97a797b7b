using System.Text.Json;

namespace Delora.Tests.Golden;

/// <summary>
/// Golden data that lie in one file of a category instead of a folder for each case. A category that the set lacks is a skip with its reason.
/// </summary>
internal static class GoldenFiles
{
    /// <summary>The file's content; null where the set has no such category.</summary>
    public static JsonElement? Read(string category, string file)
    {
        string folder = Path.Combine(GoldenCases.Root, category), path = Path.Combine(folder, file);
        if (!Directory.Exists(folder)) return null;
        if (!File.Exists(path)) throw new InvalidDataException($"The golden category {folder} holds no {file}.");
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
        return document.RootElement.Clone();
    }

    /// <summary>Theory data: number and label of each of the file's <c>cases</c>.</summary>
    /// <exception cref="InvalidDataException">There is none: nothing would be tested, in silence.</exception>
    public static TheoryData<int, string> Rows(string category, string file, Func<JsonElement, string> label)
    {
        if (Read(category, file) is not { } content)
            return [new TheoryDataRow<int, string>(-1, category) { Skip = $"the golden data in {GoldenCases.Root} have no category '{category}'" }];
        var rows = new TheoryData<int, string>();
        foreach ((int row, JsonElement item) in content.GetProperty("cases").EnumerateArray().Index()) rows.Add(row, label(item));
        return rows.Count > 0 ? rows : throw new InvalidDataException($"{category}/{file} in {GoldenCases.Root} holds no case.");
    }
}
