using System.Globalization;
using System.Text;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// The README.md of an adapter folder, with the front matter that HuggingFace's hub reads: base_model, library_name, pipeline_tag, tags, as PEFT writes
/// them. In a card that is there already the other entries and the text stay as they are.
/// </summary>
internal static class ModelCard
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "README.md";

    private const int MaxBytes = 16 << 20;

    private const string Fence = "---";

    /// <summary>Writes or updates the card of a folder.</summary>
    /// <param name="folder">An existing folder.</param>
    /// <param name="adapters">The adapters that were saved into it.</param>
    /// <param name="isTransformers">Whether the base model is of a family of the transformers library.</param>
    /// <exception cref="DeloraException">The system refused, or what is there is no file of UTF-8.</exception>
    public static void Write(string folder, IReadOnlyList<(string Name, AdapterConfig Config)> adapters, bool isTransformers)
    {
        string path = Path.Combine(folder, FileName);
        string? old = File.Exists(path) ? StrictUtf8.Decode(RegularFile.ReadAll(path, MaxBytes), path) : null;
        byte[] text = Encoding.UTF8.GetBytes(Compose(old, adapters, isTransformers));
        AtomicFile.Write(path, stream => stream.Write(text));
    }

    /// <summary>The text of the card.</summary>
    /// <param name="old">The card that is there; null for none.</param>
    /// <param name="adapters">The adapters that it describes.</param>
    /// <param name="isTransformers">Whether the base model is of a family of the transformers library.</param>
    public static string Compose(string? old, IReadOnlyList<(string Name, AdapterConfig Config)> adapters, bool isTransformers)
    {
        (List<(string Key, string Text)> entries, string body) = Split(old?.ReplaceLineEndings("\n") ?? "");
        string? model = adapters.Select(adapter => adapter.Config.BaseModelNameOrPath).FirstOrDefault(name => !string.IsNullOrEmpty(name));
        var tags = new SortedSet<string>(Items(entries.FirstOrDefault(entry => entry.Key == "tags").Text), StringComparer.Ordinal);
        if (model is not null)
        {
            Set("base_model", $"base_model: {Scalar(model)}");
            tags.Add($"base_model:adapter:{model}");
        }
        // Where PEFT refuses all of them, the hub should not say that it reads the folder.
        if (!adapters.All(adapter => IsBeyondPeft(adapter.Config))) Set("library_name", "library_name: peft");
        if (adapters.Any(adapter => adapter.Config.TaskType == "CAUSAL_LM")) Set("pipeline_tag", "pipeline_tag: text-generation");
        if (adapters.Any(adapter => adapter.Config is LoraConfig)) tags.Add("lora");
        if (isTransformers) tags.Add("transformers");
        if (tags.Count > 0) Set("tags", $"tags:\n{string.Join('\n', tags.Select(tag => $"- {Scalar(tag)}"))}");
        if (body.Trim().Length == 0) body = Body(model, adapters);
        return $"{Fence}\n{string.Join('\n', entries.Select(entry => entry.Text))}\n{Fence}\n{body}";

        void Set(string key, string text)
        {
            int at = entries.FindIndex(entry => entry.Key == key);
            if (at >= 0) entries[at] = (key, text);
            else entries.Add((key, text));
        }
    }

    /// <summary>The entries of the front matter as they are written, and what comes after it.</summary>
    private static (List<(string Key, string Text)> Entries, string Body) Split(string card)
    {
        string[] lines = card.Split('\n');
        int end = lines[0].TrimEnd() == Fence ? Array.FindIndex(lines, 1, line => line.TrimEnd() == Fence) : -1;
        if (end < 0) return ([], card);
        List<(string Key, string Text)> entries = [];
        foreach (string line in lines[1..end])
        {
            bool begins = line.Length > 0 && !char.IsWhiteSpace(line[0]) && line[0] is not ('-' or '#') && line.Contains(':', StringComparison.Ordinal);
            if (begins) entries.Add((line[..line.IndexOf(':', StringComparison.Ordinal)].Trim(), line));
            else if (entries.Count > 0) entries[^1] = (entries[^1].Key, $"{entries[^1].Text}\n{line}");
            else entries.Add(("", line));
        }
        return (entries, string.Join('\n', lines[(end + 1)..]));
    }

    /// <summary>The items of a list entry, in block form or in brackets.</summary>
    private static IEnumerable<string> Items(string? entry)
    {
        if (entry is null) return [];
        string[] lines = entry.Split('\n');
        string inline = lines[0][(lines[0].IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
        IEnumerable<string> items = inline.StartsWith('[')
            ? inline.Trim('[', ']').Split(',')
            : lines[1..].Select(line => line.Trim()).Where(line => line.StartsWith("- ", StringComparison.Ordinal)).Select(line => line[2..]);
        return items.Select(item => item.Trim().Trim('"', '\'')).Where(item => item.Length > 0);
    }

    /// <summary>A text as a YAML scalar: plain where that is safe, else in double quotes.</summary>
    private static string Scalar(string text)
    {
        bool isPlain = text.Length > 0 && text.All(c => char.IsAsciiLetterOrDigit(c) || "_-./:+@".Contains(c, StringComparison.Ordinal))
            && (char.IsAsciiLetter(text[0]) || text[0] is '/' or '.') && !text.EndsWith(':')
            && text.ToLowerInvariant() is not ("true" or "false" or "yes" or "no" or "on" or "off" or "null" or "y" or "n" or ".inf" or ".nan");
        if (isPlain) return text;
        var quoted = new StringBuilder("\"");
        foreach (char c in text)
            _ = c switch
            {
                '"' or '\\' => quoted.Append('\\').Append(c),
                < ' ' or '\u007f' => quoted.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture)),
                _ => quoted.Append(c),
            };
        return quoted.Append('"').ToString();
    }

    private static string Body(string? model, IReadOnlyList<(string Name, AdapterConfig Config)> adapters)
    {
        var body = new StringBuilder();
        body.Append("\n# ").Append(model is null ? "Adapter" : $"Adapter for {model}").Append('\n');
        body.Append("\n| adapter | method | r | strength | target modules |\n| --- | --- | --- | --- | --- |\n");
        foreach ((string name, AdapterConfig config) in adapters)
        {
            string targets = config.TargetModules?.ToString().Replace("|", "\\|", StringComparison.Ordinal) ?? "the family's default";
            body.Append(CultureInfo.InvariantCulture, $"| {name} | {config.PeftType} | {config.R} | {config.Strength} | {targets} |\n");
        }
        string[] beyond = [.. adapters.Where(adapter => IsBeyondPeft(adapter.Config)).Select(adapter => adapter.Name)];
        body.Append("\n## Use\n");
        if (beyond.Length > 0)
        {
            IEnumerable<string> kinds = adapters.Select(adapter => adapter.Config).OfType<DeloraConfig>().SelectMany(config => config.BeyondPeft).Distinct();
            body.Append(CultureInfo.InvariantCulture,
                $"\nOnly Delora reads {string.Join(", ", beyond)}: PEFT has no DeLoRA on modules of the kind {string.Join(" or ", kinds)}, and refuses to load it.\n");
        }
        if (beyond.Length < adapters.Count)
            body.Append("""

                In Python, with PEFT:

                ```python
                from peft import PeftModel
                model = PeftModel.from_pretrained(base_model, "this folder")
                ```

                """.ReplaceLineEndings("\n"));
        body.Append("""

            In .NET, with Delora:

            ```csharp
            using var model = new PeftModel(baseModel);
            model.Load("this folder");
            ```

            """.ReplaceLineEndings("\n"));
        return body.ToString();
    }

    private static bool IsBeyondPeft(AdapterConfig config) => config is DeloraConfig { BeyondPeft.IsDefaultOrEmpty: false };
}
