namespace Delora.Kernels;

/// <summary>
/// How <see cref="SamplingKernel"/> chooses among tokens; the names and the order of Hugging Face's <c>generate</c>: temperature, then the
/// most likely <see cref="TopK"/>, then of these the nucleus <see cref="TopP"/>.
/// <c>default</c> and <c>new()</c> are <see cref="Greedy"/>.
/// </summary>
public readonly record struct SamplingOptions
{
    // Null for 1, so that default means all tokens, and equal options are equal.
    private readonly double? _topP;

    /// <summary>Always the most likely token.</summary>
    public static SamplingOptions Greedy => default;

    /// <summary>
    /// T: the probabilities are softmax(logits / T). 0, which is the default, always takes the most likely token, the lowest id among
    /// equals; the random numbers then change nothing, and the other options are refused.
    /// </summary>
    public double Temperature { get; init; }

    /// <summary>
    /// How many of the most likely tokens are kept; 0 for all. Every token that is exactly as likely as the last one is kept too.
    /// </summary>
    public int TopK { get; init; }

    /// <summary>
    /// p in (0, 1]: kept is the smallest set of most likely tokens whose probability reaches p, at least one; 1 for all, which is the
    /// default. Every token that is exactly as likely as the last one is kept too.
    /// </summary>
    public double TopP
    {
        get => _topP ?? 1;
        init => _topP = value == 1 ? null : value;
    }

    /// <summary>Refuses options outside of their ranges; NaN is outside of all.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One is; the message names it.</exception>
    public void Validate()
    {
        if (!(Temperature >= 0 && double.IsFinite(Temperature)))
            throw new ArgumentOutOfRangeException(nameof(Temperature), Temperature, "a temperature is a finite number ≥ 0");
        ArgumentOutOfRangeException.ThrowIfNegative(TopK);
        if (Temperature == 0 && (TopK > 0 || TopP < 1))
            throw new ArgumentOutOfRangeException(
                nameof(Temperature), Temperature, "top-k and top-p restrict a random choice, and 0, the default, leaves nothing to chance; 1 is usual");
        if (!(TopP is > 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(TopP), TopP, "top-p lies in (0, 1]");
    }
}
