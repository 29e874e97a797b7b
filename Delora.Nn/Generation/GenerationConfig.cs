using System.Collections.Immutable;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// <c>generation_config.json</c> of a model folder. The tokens that end a text are taken from it, as transformers takes them: models that
/// were trained on conversations name more of them there than in <c>config.json</c>. How to sample is the caller's choice.
/// </summary>
internal static class GenerationConfig
{
    private const string FileName = "generation_config.json", Field = "eos_token_id";

    /// <summary>The configuration with what the folder's file adds, where there is one.</summary>
    /// <exception cref="DeloraFormatException">The file is wrong, or a token is not in the vocabulary.</exception>
    public static ModelConfig AddTo(ModelConfig config, string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!Path.Exists(path)) return config;
        JsonFields fields = JsonFields.Load(path);
        if (fields.Integers(Field) is not { } ids) return config;
        foreach (int id in ids)
            if (id < 0 || id >= config.VocabSize)
                throw fields.Wrong(Field, $"must be from 0 to {config.VocabSize - 1}, below vocab_size, not {id}.");
        return config with { StopTokenIds = ids };
    }
}
