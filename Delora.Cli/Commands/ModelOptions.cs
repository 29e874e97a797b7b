using System.CommandLine;

namespace Delora.Cli;

/// <summary>Options that the commands about models share.</summary>
internal static class ModelOptions
{
    /// <summary>Positions of a row where the user names no length, if the context is that long.</summary>
    public const int UsualLength = 256;

    public static Option<string?> Model() => ValueOptions.RequiredPath(
        "--model", "FOLDER", "A model as HuggingFace transformers saves it: config.json, safetensors, a tokenizer.");

    public static Option<string?> Data() => ValueOptions.RequiredPath(
        "--data", "FILE",
        "UTF-8: plain text, or .jsonl with a {\"text\": …} or {\"prompt\": …, \"completion\": …} a line; for a classifier .jsonl, .csv or .tsv "
        + "with text, text_pair where there are pairs, and label.");

    public static Option<string?> Adapter() => ValueOptions.PathAsGiven(
        "--adapter", "FOLDER", "An adapter of the model, DeLoRA or LoRA, that this program or PEFT saved.");

    public static Option<int?> Length() => ValueOptions.CountOrNone(
        "--length", $"Tokens of a row, at most the model's context. [default: {UsualLength}, or the context where it is shorter]");

    public static Option<int> Batch() => ValueOptions.Count("--batch", "Rows that are computed at once.", 8, most: 1 << 16);
}
