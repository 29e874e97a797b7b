namespace Delora.Kernels;

/// <summary>What an attention computes besides its operands. <c>default</c> and <c>new()</c> are a decoder's attention over all keys.</summary>
public readonly record struct AttentionOptions
{
    // So that default is causal: who forgets an option must not look into the future.
    private readonly bool _seesAll;

    /// <summary>Whether query t sees no key after its own: j ≤ Keys − seq + t. True unless said otherwise.</summary>
    public bool Causal
    {
        get => !_seesAll;
        init => _seesAll = !value;
    }

    /// <summary>
    /// How many keys a query sees at most, the one at its own position being the last: position of the query − position of the key &lt; Window,
    /// where query t is at Keys − seq + t. Null for no limit. With a mask of padding it counts positions, not tokens.
    /// It limits the past alone: where the attention is not causal, all later keys are seen as well.
    /// </summary>
    public int? Window { get; init; }

    /// <summary>How many rows of key and value there are to attend to; null for their capacity. Rows beyond are not read.</summary>
    public int? Keys { get; init; }

    /// <summary>What the scores are multiplied by; null for 1/√dim.</summary>
    public double? Scale { get; init; }
}
