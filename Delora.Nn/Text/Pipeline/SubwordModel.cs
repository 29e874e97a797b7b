namespace Delora.Nn;

/// <summary>Turns words into ids: a <c>model</c> of <c>tokenizer.json</c>. Immutable.</summary>
/// <param name="tokens">The bytes of each token; none for a special one.</param>
internal abstract class SubwordModel(byte[][] tokens)
{
    /// <summary>What it is, in words.</summary>
    public abstract string Kind { get; }

    /// <summary>The bytes of each token; none for a special one.</summary>
    public byte[][] Tokens => tokens;

    /// <summary>Whether the leading space of a text's first token is no part of the text.</summary>
    public virtual bool StripsSpace => false;

    /// <summary>Begins to encode a text.</summary>
    /// <param name="ids">Takes the ids of its words.</param>
    public abstract WordAction Start(List<int> ids);
}
