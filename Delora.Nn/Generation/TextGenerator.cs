using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Text;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// Continues texts with a language model. Any number of texts may be generated at once; each has its own key/value cache and random numbers, and
/// its own adapter where it asks for one (<see cref="GenerationOptions.Adapter"/>), and comes out as it would alone.
/// <code>
/// var generator = new TextGenerator(model, tokenizer);
/// await foreach (GeneratedToken token in generator.GenerateAsync("Once upon a time")) Console.Write(token.Text);
/// </code>
/// </summary>
/// <param name="model">The model, with or without active adapters; stays the caller's.</param>
/// <param name="tokenizer">Its tokenizer.</param>
public sealed class TextGenerator(CausalLanguageModel model, TextTokenizer tokenizer)
{
    private readonly CausalLanguageModel _model = model ?? throw new ArgumentNullException(nameof(model));
    private readonly TextTokenizer _tokenizer = tokenizer ?? throw new ArgumentNullException(nameof(tokenizer));

    /// <summary>Continues a prompt, a token at a time as the caller asks for them. Cancelling ends it within a token.</summary>
    /// <param name="prompt">The text to continue; may be empty where the model has a begin token.</param>
    /// <param name="options">How; greedily up to 128 tokens where nothing is given.</param>
    /// <param name="cancellation">Ends the generation.</param>
    /// <exception cref="PromptException">The prompt is longer than the model's context, or has no token at all.</exception>
    /// <exception cref="ArgumentException">An option is outside of its range, or the adapter is one for several rows.</exception>
    /// <exception cref="ObjectDisposedException">The model was disposed meanwhile.</exception>
    public async IAsyncEnumerable<GeneratedToken> GenerateAsync(
        string prompt, GenerationOptions? options = null, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        await foreach ((_, GeneratedToken token) in GenerateAsync([prompt], options, cancellation).ConfigureAwait(false)) yield return token;
    }

    /// <summary>
    /// Continues several prompts in one batch, each with its own adapter where <see cref="GenerationOptions.Adapter"/> has a row for each: the
    /// weights of the model are read once for all of them. A text comes out as it would alone, but for rounding in the last bits, which can decide
    /// between two tokens that are equally likely.
    /// </summary>
    /// <remarks>Shorter prompts are padded on the left; the context ends all texts when the longest has filled it.</remarks>
    /// <param name="prompts">The texts to continue.</param>
    /// <param name="options">How, the same for all, the seed too.</param>
    /// <param name="cancellation">Ends the generation.</param>
    /// <returns>Number of the prompt, and its next token; a token of each in turn until each has ended.</returns>
    /// <exception cref="ArgumentException">There is no prompt, or adapters were chosen for another number of rows.</exception>
    /// <inheritdoc cref="GenerateAsync(string, GenerationOptions?, CancellationToken)"/>
    public async IAsyncEnumerable<(int Row, GeneratedToken Token)> GenerateAsync(
        IReadOnlyList<string> prompts, GenerationOptions? options = null, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        options ??= new GenerationOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxNewTokens, 1);
        options.Sampling.Validate();
        if (prompts.Count == 0) throw new ArgumentException("There is no prompt.", nameof(prompts));
        if (options.Adapter is { } chosen && chosen.Names.Count != prompts.Count)
            throw new ArgumentException($"Adapters were chosen for {chosen.Names.Count} rows; the prompts are {prompts.Count}.", nameof(options));
        TextBatch batch = new([.. prompts.Select(prompt => new TextBatch.Row(
            Prompt(prompt, options.ParseSpecial), new Generator(options.Seed), _tokenizer.StartDecoding(continues: prompt.Length > 0)))]);
        ImmutableArray<int> stops = options.StopIds ?? _model.Config.StopTokenIds;
        int most = Math.Min(options.MaxNewTokens, _model.Config.MaxPositionEmbeddings - batch.Longest + 1);
        // The last token is not computed on: it needs no place.
        using KeyValueCache cache = _model.CreateCache(prompts.Count, batch.Longest + most - 1);
        using Tensor? mask = batch.Mask(cache.Capacity, _model.Device);
        for (int count = 1; count <= most; count++)
        {
            cancellation.ThrowIfCancellationRequested();
            await Task.Run(() => Next(batch, cache, mask, options), cancellation).ConfigureAwait(false);
            foreach ((int number, TextBatch.Row row) in batch.Rows.Index())
            {
                if (row.IsFinished) continue;
                bool stop = stops.Contains(row.Last);
                FinishReason? finish = stop ? FinishReason.Stop
                    : count < most ? null
                    : count == options.MaxNewTokens ? FinishReason.Length : FinishReason.Context;
                string text = stop ? "" : row.Decoder.Append(row.Last);
                row.IsFinished = finish is not null;
                yield return (number, new GeneratedToken(row.Last, finish is null ? text : text + row.Decoder.Flush(), finish));
            }
            if (batch.Rows.All(row => row.IsFinished)) yield break;
        }
    }

    /// <summary>The whole continuation of a prompt.</summary>
    /// <inheritdoc cref="GenerateAsync(string, GenerationOptions?, CancellationToken)"/>
    public async Task<string> CompleteAsync(string prompt, GenerationOptions? options = null, CancellationToken cancellation = default)
    {
        var text = new StringBuilder();
        await foreach (GeneratedToken token in GenerateAsync(prompt, options, cancellation).ConfigureAwait(false)) text.Append(token.Text);
        return text.ToString();
    }

    private int[] Prompt(string text, bool parseSpecial)
    {
        // An empty prompt can only start from the begin token, whether or not the model expects it otherwise.
        bool addBegin = _tokenizer.BeginId is not null && (_tokenizer.AddsBegin || text.Length == 0);
        int[] ids = [.. _tokenizer.EncodeTrusted(text, addBegin, parseSpecial)];
        if (ids.Length == 0) throw new PromptException("The prompt is empty, and the model has no begin token to start from.");
        if (ids.FirstOrDefault(id => id >= _model.Config.VocabSize, -1) is var strange and >= 0)
            throw new PromptException(
                $"The tokenizer gives the id {strange}; the model's vocabulary has {_model.Config.VocabSize}. They do not belong together.");
        int context = _model.Config.MaxPositionEmbeddings;
        if (ids.Length > context) throw new PromptException($"The prompt has {ids.Length} tokens; the model's context holds {context}.");
        return ids;
    }

    /// <summary>Computes the next token of every text that goes on.</summary>
    private void Next(TextBatch batch, KeyValueCache cache, Tensor? mask, GenerationOptions options)
    {
        // In this task alone: another request's choice is its own.
        using IDisposable? choice = options.Adapter?.Use();
        // A scope that frees what is made here, and no recording where the caller has a tape open.
        using IDisposable pause = Tape.Pause();
        (Tensor ids, Tensor? positions) = batch.Inputs(cache.Length, _model.Device);
        Tensor logits = _model.ForwardLast(ids, cache, mask, positions);     // [batch, vocabulary]
        Tensor token = Tensor.Empty([1], DType.Int32, _model.Device, "next token");
        foreach ((int number, TextBatch.Row row) in batch.Rows.Index())
        {
            if (row.IsFinished) continue;
            SamplingKernel.Forward(logits.Slice(number, 1), token, options.Sampling, row.Random.Reserve(logits.Shape[1]));
            row.Last = token.ToArray<int>()[0];
        }
    }
}

/// <summary>A prompt that a model cannot continue.</summary>
public sealed class PromptException(string message) : DeloraException(message);
