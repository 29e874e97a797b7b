using System.CommandLine;
using System.Text.Json;
using Delora.Core;
using Delora.Nn;

namespace Delora.Cli;

/// <summary><c>delora embed</c>: a vector for each text, for semantic search.</summary>
internal static class EmbedCommand
{
    public static Command Create(CliConsole console)
    {
        Option<string?> model = ModelOptions.Model();
        Option<string[]> adapters = ModelOptions.Adapters();
        TextInputs inputs = new();
        Option<string?> pooling = ValueOptions.ChoiceOrNone(
            "--pooling",
            "How a text's tokens become one vector: their mean, the first token (cls), or the model's pooler. [default: what the "
            + "folder's modules.json says, as sentence-transformers writes it, else mean]",
            "mean", "cls", "pooler");
        Option<bool> raw = new("--no-normalize") { Description = "Leave the vectors as long as they are; else each has the length 1." };
        Option<int?> length = ModelOptions.Length();
        Option<int> batch = ModelOptions.Batch();
        Option<string> weights = ModelOptions.Weights(), device = ValueOptions.Device();
        Command command = new("embed", "Writes a vector for each text as a JSON line: {\"text\": …, \"embedding\": […]}. Any encoder will do.")
        {
            model, adapters,
        };
        inputs.AddTo(command);
        foreach (Option option in (Option[])[pooling, raw, length, batch, weights, device])
            command.Add(option);
        command.SetAction((parsed, stop) => Task.Run(
            () =>
            {
                IEnumerable<(string Text, string? Pair)> texts = inputs.Read(parsed, console);
                ModelFolder folder = ModelFolder.Open(console, parsed.GetRequiredValue(model)!);
                EmbeddingSettings settings = EmbeddingSettings.Load(folder.Path);
                int most = folder.LengthOf(parsed.GetValue(length), settings.MaxTokens);
                string[] paths = parsed.GetValue(adapters) ?? [];
                using EncoderModel encoder = folder.LoadEncoder(
                    SelectedDevice.Open(parsed.GetRequiredValue(device)), ModelOptions.Frozen(parsed.GetRequiredValue(weights)), paths);
                using PeftModel? peft = paths.Length > 0 ? folder.Adapt(encoder, paths) : null;
                Pooling how = parsed.GetValue(pooling) is { } name ? Enum.Parse<Pooling>(name, ignoreCase: true) : settings.Pooling;
                foreach ((string Text, string? Pair)[] some in texts.Chunk(parsed.GetRequiredValue(batch)))
                {
                    stop.ThrowIfCancellationRequested();
                    using TensorScope scope = new("embed");
                    float[] vectors = Embed(encoder, folder.Encode(some, most), how, !parsed.GetValue(raw)).ToArray<float>();
                    foreach (((string text, string? pair), float[] vector) in some.Zip(vectors.Chunk(vectors.Length / some.Length)))
                        console.Output.WriteLine(Json(text, pair, vector));
                }

                return ExitCode.Success;
            },
            stop));
        return command;
    }

    private static Tensor Embed(EncoderModel encoder, EncodedBatch texts, Pooling how, bool normalize)
    {
        try
        {
            return encoder.Embed(texts, how, normalize);
        }
        catch (InvalidOperationException e) when (how == Pooling.Pooler)
        {
            throw new InputException($"--pooling pooler: {e.Message}", e);
        }
    }

    private static string Json(string text, string? pair, float[] embedding) => pair is null
        ? JsonSerializer.Serialize(new { text, embedding })
        : JsonSerializer.Serialize(new { text, text_pair = pair, embedding });
}
