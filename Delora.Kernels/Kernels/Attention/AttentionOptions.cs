namespace Delora.Kernels;

/// <summary>
/// What an attention computes besides its operands. <c>new()</c> is a decoder's attention over all keys; <c>default</c> is not causal.
/// </summary>
public readonly record struct AttentionOptions
{
    /// <summary>Causal, over all keys, with the scale 1/√dim.</summary>
    public AttentionOptions() { }

    /// <summary>Whether query t sees no key after its own: j ≤ Keys − seq + t.</summary>
    public bool Causal { get; init; } = true;

    /// <summary>How many rows of key and value there are to attend to; null for their capacity. Rows beyond are not read.</summary>
    public int? Keys { get; init; }

    /// <summary>What the scores are multiplied by; null for 1/√dim.</summary>
    public double? Scale { get; init; }
}
