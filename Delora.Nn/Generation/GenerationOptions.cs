using System.Collections.Immutable;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>How a text is continued.</summary>
public sealed record GenerationOptions
{
    /// <summary>The most tokens to generate, at least 1. The model's context ends a text as well.</summary>
    public int MaxNewTokens { get; init; } = 128;

    /// <summary>How each token is chosen; greedily where nothing is given.</summary>
    public SamplingOptions Sampling { get; init; } = SamplingOptions.Greedy;

    /// <summary>Seed of the choices: the same seed continues the same prompt in the same way.</summary>
    public ulong Seed { get; init; }

    /// <summary>
    /// The adapter of this text alone, <c>model.Rows("anna")</c> or <c>model.Rows(PeftModel.BaseRow)</c>, whatever others generate at the same time;
    /// null: what <see cref="AdapterRows.Use"/> has chosen around the call, else the model's active adapters.
    /// </summary>
    public AdapterRows? Adapter { get; init; }

    /// <summary>Tokens that end the text; null for those of the model (<see cref="ModelConfig.StopTokenIds"/>).</summary>
    public ImmutableArray<int>? StopIds { get; init; }

    /// <summary>
    /// Whether names of special tokens in the prompt, for instance <c>&lt;|im_start|&gt;</c>, become these tokens. Only for prompts that are
    /// trusted; otherwise they are text.
    /// </summary>
    public bool ParseSpecial { get; init; }
}

/// <summary>Why a text ended.</summary>
public enum FinishReason
{
    /// <summary>The model chose an end token.</summary>
    Stop,

    /// <summary><see cref="GenerationOptions.MaxNewTokens"/> were generated.</summary>
    Length,

    /// <summary>The model's context is full.</summary>
    Context,
}

/// <summary>One generated token.</summary>
/// <param name="Id">The token.</param>
/// <param name="Text">
/// What it adds to the text: empty for an end token, and where a character is not complete yet. The concatenation is the text.
/// </param>
/// <param name="Finish">Why the text ends here; null where it goes on.</param>
public readonly record struct GeneratedToken(int Id, string Text, FinishReason? Finish);
