using System.Collections.Immutable;
using System.Text.Json;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// How a folder says that its texts become vectors: the files that sentence-transformers lays beside a model, <c>modules.json</c>,
/// <c>1_Pooling/config.json</c>, <c>sentence_bert_config.json</c>.
/// </summary>
/// <param name="Pooling">How the features of the tokens become one vector.</param>
/// <param name="MaxTokens">The most tokens of a text (<c>max_seq_length</c>), where the folder says so.</param>
public sealed record EmbeddingSettings(Pooling Pooling = Pooling.Mean, int? MaxTokens = null)
{
    /// <summary>The files that say it, and what sentence-transformers lays beside them.</summary>
    internal static readonly ImmutableArray<string> FileNames = [ModulesName, "1_Pooling/config.json", LengthName, "config_sentence_transformers.json"];

    private const string ModulesName = "modules.json", LengthName = "sentence_bert_config.json", Package = "sentence_transformers.models.";

    /// <summary>
    /// Reads a folder; the mean where it says nothing. A module that would change the vectors and does not exist here, for instance
    /// <c>Dense</c>, is refused by its name; <c>Normalize</c> is the caller's to ask for.
    /// </summary>
    /// <exception cref="DeloraFormatException">A file is wrong, or asks for what is not supported.</exception>
    public static EmbeddingSettings Load(string folder)
    {
        var settings = new EmbeddingSettings();
        string modules = Path.Combine(folder, ModulesName), length = Path.Combine(folder, LengthName);
        if (File.Exists(modules))
        {
            foreach ((string type, string? path) in Modules(modules))
                settings = type switch
                {
                    "Transformer" when !string.IsNullOrEmpty(path) => throw new DeloraFormatException(
                        modules, "path", $"'{path}' is not supported for the Transformer: the model lies in the folder itself."),
                    "Transformer" or "Normalize" => settings,
                    "Pooling" => settings with { Pooling = ReadPooling(FolderFile.Resolve(folder, path ?? "", modules, "path")) },
                    _ => throw new DeloraFormatException(modules, "type", $"'{type}' is not supported; Transformer, Pooling and Normalize are."),
                };
        }
        if (!File.Exists(length)) return settings;
        JsonFields fields = JsonFields.Load(length);
        int? most = fields.OptionalInteger("max_seq_length");
        if (most < 1) throw fields.Wrong("max_seq_length", $"must be at least 1, not {most}.");
        if (fields.Flag("do_lower_case", false))
            throw fields.Wrong("do_lower_case", "true is not supported: texts go to the tokenizer as they are.");
        return settings with { MaxTokens = most };
    }

    private static List<(string Type, string? Path)> Modules(string file)
    {
        // The file is a list; every other file that is read here is an object.
        byte[] bytes = RegularFile.ReadAll(file, 1 << 20);
        JsonFields fields = JsonFields.Parse((byte[])[.. "{\"modules\":"u8, .. bytes.AsSpan().StartsWith("\uFEFF"u8) ? bytes[3..] : bytes, .. "}"u8], file);
        if (!fields.TryTake("modules", out JsonElement list) || list.ValueKind != JsonValueKind.Array)
            throw fields.Wrong("is no list of modules.");
        List<(string, string?)> modules = [];
        foreach ((int i, JsonElement item) in list.EnumerateArray().Index())
        {
            JsonFields module = fields.Object($"modules[{i}]", item);
            string type = module.Text("type", null) ?? throw module.Wrong("type", "is missing.");
            modules.Add((type.StartsWith(Package, StringComparison.Ordinal) ? type[Package.Length..] : type, module.Text("path", null)));
        }
        return modules;
    }

    private static Pooling ReadPooling(string folder)
    {
        JsonFields fields = JsonFields.Load(Path.Combine(folder, "config.json"));
        List<Pooling> chosen = [];
        if (fields.Flag("pooling_mode_cls_token", false)) chosen.Add(Pooling.Cls);
        if (fields.Flag("pooling_mode_mean_tokens", false)) chosen.Add(Pooling.Mean);
        foreach ((string field, JsonElement value) in fields.Left)
            if (field.StartsWith("pooling_mode_", StringComparison.Ordinal) && value.ValueKind != JsonValueKind.False)
                throw fields.Wrong(field, "is not supported; pooling_mode_cls_token and pooling_mode_mean_tokens are.");
        return chosen.Count == 1
            ? chosen[0]
            : throw fields.Wrong($"asks for {(chosen.Count == 0 ? "no pooling" : "two poolings at once, whose vectors stand side by side")}; one is supported.");
    }
}
