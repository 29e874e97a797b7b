using System.CommandLine;
using Delora.Kernels;
using Delora.Nn;

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
        + "with text, text_pair where there are pairs, and label; for a classifier of tokens .jsonl with tokens (words) and as many labels.");

    /// <summary>Any number of adapters; none is an empty list.</summary>
    public static Option<string[]> Adapters() => ValueOptions.Paths(
        "--adapter", "FOLDER",
        "An adapter of the model, DeLoRA or LoRA, that this program or PEFT saved. Given several times, their updates are added, as PEFT does with "
        + "several active adapters; delora combine adds with weights.");

    /// <summary>Whether names of special tokens in a text are these tokens.</summary>
    public static Option<bool> SpecialTokens(string where) => new("--special-tokens")
    {
        Description = $"Names of special tokens in {where}, such as <|im_start|>, are these tokens; else they are text.",
    };

    /// <exception cref="InputException">The model is an encoder: its texts and labels are data, never trusted.</exception>
    public static void CheckSpecialTokens(ModelFolder folder, bool asked)
    {
        if (asked && folder.Config is EncoderConfig)
            throw new InputException(
                "--special-tokens belongs to language models: the special tokens around a text that is labelled are the tokenizer's own");
    }

    /// <summary>The most bytes of one file of weights.</summary>
    public static Option<long?> MaxShardSize() => ValueOptions.SizeOrNone(
        "--max-shard-size",
        "The most bytes of one file of weights; a larger model is written as several and an index, as transformers does. [default: 5GB, of 10⁹ bytes]");

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
