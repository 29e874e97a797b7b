using System.Text.Json;
using Delora.Nn;

namespace Delora.Tests.Golden;

/// <summary>
/// Finds the cases: every folder under <c>ROOT/CATEGORY/</c> is one. The root is the project's own data, or the folder that
/// <c>DELORA_GOLDEN_DIR</c> names. A category that the root lacks is a skip with its reason; a root or a category without any case is an
/// error.
/// </summary>
public static class GoldenCases
{
    /// <summary>The environment variable that points at another set.</summary>
    public const string Variable = "DELORA_GOLDEN_DIR";

    /// <summary>The categories that are files instead of a folder for each case.</summary>
    private static readonly (string Category, string Files)[] s_files =
        [("errors", "errors.json"), ("targets", "target_resolution.json"), ("tokenizer", "*.json")];

    internal static string Root =>
        Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } other
            ? other
            : Path.Combine(AppContext.BaseDirectory, "Golden", "Data");

    /// <summary>Theory data: the names of the layer cases, for <see cref="Layer"/>.</summary>
    public static TheoryData<string> Layers => Find(Root, "layers");

    /// <summary>Theory data: the names of the training cases, for <see cref="TrainingRun"/>.</summary>
    public static TheoryData<string> Training => Find(Root, "training");

    /// <summary>Theory data: the names of the model cases, for <see cref="Model"/>; families that are not supported are skipped.</summary>
    public static TheoryData<string> Models
    {
        get
        {
            TheoryData<string> rows = Find(Root, "models");
            return [.. rows.Select(row => row.Skip is null && Unsupported(row.Data) is { } reason ? new TheoryDataRow<string>(row.Data) { Skip = reason } : row)];
        }
    }

    /// <summary>One case of <see cref="Models"/>.</summary>
    public static GoldenCase Model(string name) => new(Path.Combine(Root, "models", name));

    /// <summary>One case of <see cref="Layers"/>.</summary>
    public static GoldenCase Layer(string name) => new(Path.Combine(Root, "layers", name));

    /// <summary>One case of <see cref="Training"/>.</summary>
    public static GoldenCase TrainingRun(string name) => new(Path.Combine(Root, "training", name));

    /// <summary>The rows of one category.</summary>
    /// <exception cref="InvalidDataException">There is no case at all: nothing would be tested, in silence.</exception>
    internal static TheoryData<string> Find(string root, string category)
    {
        if (!Directory.Exists(root))
            throw new InvalidDataException($"There is no golden data: the folder {root} does not exist ({Variable}).");
        // Some other folder would otherwise skip every category and pass.
        if (!Array.Exists(s_files, entry => Directory.Exists(Path.Combine(root, entry.Category)) && Directory.EnumerateFiles(Path.Combine(root, entry.Category), entry.Files).Any())
            && !Directory.GetDirectories(root).Any(found => Directory.GetDirectories(found).Any(IsCase)))
            throw new InvalidDataException($"There is no golden data: the folder {root} holds no CATEGORY/CASE/case.json ({Variable}).");
        string folder = Path.Combine(root, category);
        if (!Directory.Exists(folder))
            return [new TheoryDataRow<string>(category) { Skip = $"the golden data in {root} have no category '{category}'" }];
        string[] names = [.. Directory.GetDirectories(folder).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];
        if (names.Length == 0) throw new InvalidDataException($"The golden category {folder} holds no case.");
        return [.. names];
    }

    private static string? Unsupported(string model)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Root, "models", model, "base", ModelConfig.FileName)));
        string family = document.RootElement.GetProperty("model_type").GetString()!;
        return ModelConfig.Families.Contains(family) ? null : $"{model} is of the family '{family}', which is not supported";
    }

    private static bool IsCase(string folder) => File.Exists(Path.Combine(folder, "case.json"));
}
