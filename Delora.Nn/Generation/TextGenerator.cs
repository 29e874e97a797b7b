using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Text;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// Continues texts with a language model. Any number of texts may be generated at once; each has its own key/value cache and random numbers, and
/// comes out as it would alone.
/// <code>
/// var generator = new TextGenerator(model, tokenizer);
/// await foreach (GeneratedToken token in generator.GenerateAsync("Once upon a time")) Console.Write(token.Text);
/// </code>
/// </summary>
/// <param name="model">The model, with or without active adapters; stays the caller's.</param>
/// <param name="tokenizer">Its tokenizer.</param>
public sealed class TextGenerator(CausalLanguageModel model, TextTokenizer tokenizer)
{
    /// <summary>Continues a prompt, a token at a time as the caller asks for them. Cancelling ends it within a token.</summary>
    /// <param name="prompt">The text to continue; may be empty where the model has a begin token.</param>
    /// <param name="options">How; greedily up to 128 tokens where nothing is given.</param>
    /// <param name="cancellation">Ends the generation.</param>
    /// <exception cref="PromptException">The prompt is longer than the model's context, or has no token at all.</exception>
    /// <exception cref="ObjectDisposedException">The model was disposed meanwhile.</exception>
    public async IAsyncEnumerable<GeneratedToken> GenerateAsync(
        string prompt, GenerationOptions? options = null, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        options ??= new GenerationOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxNewTokens, 1);
        options.Sampling.Validate();
        int context = model.Config.MaxPositionEmbeddings;
        int[] ids = Prompt(prompt, options.ParseSpecial);
        ImmutableArray<int> stops = options.StopIds ?? model.Config.StopTokenIds;
        int most = Math.Min(options.MaxNewTokens, context - ids.Length + 1);
        var random = new Generator(options.Seed);
        TokenDecoder decoder = tokenizer.StartDecoding(continues: prompt.Length > 0);
        // The last token is not computed on: it needs no place.
        using KeyValueCache cache = model.CreateCache(1, ids.Length + most - 1);
        for (int count = 1; count <= most; count++)
        {
            cancellation.ThrowIfCancellationRequested();
            int[] next = ids;
            int id = await Task.Run(() => Next(next, cache, options.Sampling, random), cancellation).ConfigureAwait(false);
            ids = [id];
            bool stop = stops.Contains(id);
            FinishReason? finish = stop ? FinishReason.Stop
                : count < most ? null
                : count == options.MaxNewTokens ? FinishReason.Length : FinishReason.Context;
            string text = stop ? "" : decoder.Append(id);
            yield return new GeneratedToken(id, finish is null ? text : text + decoder.Flush(), finish);
            if (finish is not null) yield break;
        }
    }

    /// <summary>The whole continuation of a prompt.</summary>
    /// <inheritdoc cref="GenerateAsync"/>
    public async Task<string> CompleteAsync(string prompt, GenerationOptions? options = null, CancellationToken cancellation = default)
    {
        var text = new StringBuilder();
        await foreach (GeneratedToken token in GenerateAsync(prompt, options, cancellation).ConfigureAwait(false)) text.Append(token.Text);
        return text.ToString();
    }

    private int[] Prompt(string text, bool parseSpecial)
    {
        // An empty prompt can only start from the begin token, whether or not the model expects it otherwise.
        bool addBegin = tokenizer.BeginId is not null && (tokenizer.AddsBegin || text.Length == 0);
        int[] ids = [.. tokenizer.EncodeTrusted(text, addBegin, parseSpecial)];
        if (ids.Length == 0) throw new PromptException("The prompt is empty, and the model has no begin token to start from.");
        if (ids.FirstOrDefault(id => id >= model.Config.VocabSize, -1) is var strange and >= 0)
            throw new PromptException(
                $"The tokenizer gives the id {strange}; the model's vocabulary has {model.Config.VocabSize}. They do not belong together.");
        int context = model.Config.MaxPositionEmbeddings;
        if (ids.Length > context) throw new PromptException($"The prompt has {ids.Length} tokens; the model's context holds {context}.");
        return ids;
    }

    private int Next(int[] ids, KeyValueCache cache, SamplingOptions sampling, Generator random)
    {
        // A scope that frees what is made here, and no recording where the caller has a tape open.
        using IDisposable pause = Tape.Pause();
        Tensor logits = model.ForwardLast(Tensor.From(ids, [1, ids.Length], model.Device, "ids"), cache);     // [1, vocabulary]
        Tensor choice = Tensor.Empty([1], DType.Int32, model.Device, "next token");
        SamplingKernel.Forward(logits, choice, sampling, random.Reserve(logits.ElementCount));
        return choice.ToArray<int>()[0];
    }
}

/// <summary>A prompt that a model cannot continue.</summary>
public sealed class PromptException(string message) : DeloraException(message);
