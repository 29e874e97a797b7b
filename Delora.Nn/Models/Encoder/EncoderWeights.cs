using Delora.Core;

namespace Delora.Nn;

/// <summary>Reads an encoder's tensors, whichever of the names in use its files have.</summary>
internal static class EncoderWeights
{
    private static readonly string[] s_parts = ["embeddings.", "encoder.", "pooler."];

    // What other versions and other heads have beside the encoder. Position ids and token types are numbers that follow from the model.
    private static readonly string[] s_buffers = ["embeddings.position_ids", "embeddings.token_type_ids"];
    private static readonly string[] s_heads = ["cls.", "lm_head.", "classifier.", "qa_outputs."];

    /// <summary>Reads a model; it is frozen.</summary>
    /// <param name="config">Says which tensors there are.</param>
    /// <param name="files">Their files; the names become those of the configuration.</param>
    /// <param name="device">Where.</param>
    /// <param name="make">
    /// Makes the tensors of a head and pooler that are not taken from the files; null: all are, and another head is an error.
    /// </param>
    /// <param name="warn">Hears of tensors that are made or left out.</param>
    internal static EncoderModel Load(
        EncoderConfig config, WeightFiles files, Device device, Func<string, Shape, Tensor>? make, Action<string>? warn)
    {
        files.Rename(name => Canonical(config, name));
        IReadOnlyDictionary<string, Shape> shapes = config.TensorShapes();
        HashSet<string> made = make is null
            ? []
            : [.. shapes.Keys.Where(name => IsHead(name) || (IsPooler(config, name) && !files.Contains(name)))];
        files.Check(
            shapes.Where(pair => !made.Contains(pair.Key)).ToDictionary(),
            name => IsBuffer(config, name) || (IsPooler(config, name) && !config.UsesPooler) || (make is not null && IsHead(name)));
        string[] left = [.. files.Entries.Select(entry => entry.Name)
            .Where(name => (made.Contains(name) || !shapes.ContainsKey(name)) && !IsBuffer(config, name))];
        if (left.Length > 0) warn?.Invoke($"{files.Source}: not used: {Names.List(left)}.");
        if (made.Count > 0) warn?.Invoke($"{files.Source}: new, to be trained: {Names.List(made)}.");
        using var scope = new TensorScope("load model");
        EncoderModel model = EncoderModel.Of(
            config, device, WeightSource.Gather(shapes, (name, shape) => made.Contains(name) ? make!(name, shape) : files.ReadFloat(name, device)));
        try
        {
            model.Freeze();
            return model;
        }
        catch
        {
            // Preparing the weights takes memory too, and the scope no longer owns them.
            model.Dispose();
            throw;
        }
    }

    /// <summary>
    /// The name that the configuration's model gives a tensor: norms of published BERT files are called gamma and beta, and the encoder's
    /// own tensors have its name in front where a model has a head, and not where it has none.
    /// </summary>
    private static string Canonical(EncoderConfig config, string name)
    {
        foreach ((string old, string now) in ((string, string)[])[("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")])
            if (name.EndsWith(old, StringComparison.Ordinal)) name = name[..^old.Length] + now;
        string bare = name.StartsWith($"{config.BasePrefix}.", StringComparison.Ordinal) ? name[(config.BasePrefix.Length + 1)..] : name;
        return s_parts.Any(part => bare.StartsWith(part, StringComparison.Ordinal)) ? config.TensorPrefix + bare : name;
    }

    private static bool IsBuffer(EncoderConfig config, string name) => s_buffers.Any(buffer => name == config.TensorPrefix + buffer);

    private static bool IsPooler(EncoderConfig config, string name) => name.StartsWith($"{config.TensorPrefix}pooler.", StringComparison.Ordinal);

    private static bool IsHead(string name) => s_heads.Any(head => name.StartsWith(head, StringComparison.Ordinal));
}
