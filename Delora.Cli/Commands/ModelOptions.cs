using System.CommandLine;
using Delora.Kernels;

namespace Delora.Cli;

/// <summary>Options that the commands about models share.</summary>
internal static class ModelOptions
{
    /// <summary>Positions of a row where the user names no length, if the context is that long.</summary>
    public const int UsualLength = 256;

    private static readonly string[] s_storages = [.. Enum.GetValues<FrozenStorage>().Select(storage => storage.Name)];

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

    /// <summary>How frozen weights are kept; see <see cref="Frozen"/>.</summary>
    public static Option<string> Weights() => ValueOptions.Choice(
        "--weights",
        "How the model's linear layers are kept in memory: float32; 2 bytes a number in bfloat16 or float16; stored: as the file has them; quantized to "
        + "1 byte (int8) or half a byte (nf4), except for the output layer. Embeddings of their own and norms stay float32.",
        FrozenStorage.Float32.Name, s_storages);

    /// <summary>The same where nothing need be said.</summary>
    public static Option<string?> WeightsOrNone(string description) => ValueOptions.ChoiceOrNone("--weights", description, s_storages);

    /// <summary>What a value of <see cref="Weights"/> stands for.</summary>
    public static FrozenWeightOptions Frozen(string weights) =>
        new() { Storage = Enum.GetValues<FrozenStorage>().Single(storage => storage.Name == weights) };

    public static Option<int> Batch() => ValueOptions.Count("--batch", "Rows that are computed at once.", 8, most: 1 << 16);
}
