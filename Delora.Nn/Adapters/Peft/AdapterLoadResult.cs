namespace Delora.Nn;

/// <summary>
/// What did not fit when an adapter was loaded: PEFT's result of <c>load_adapter</c>. All are empty unless the strict mode, or a call that asked for it,
/// let it pass.
/// </summary>
/// <param name="MissingKeys">Tensors that the model has and the file lacks, by their names in memory; they kept their initial values.</param>
/// <param name="UnexpectedKeys">Tensors that the file has and the model lacks.</param>
/// <param name="MismatchedKeys">Tensors of another shape, by their names in memory; they kept their initial values.</param>
public sealed record AdapterLoadResult(
    IReadOnlyList<string> MissingKeys, IReadOnlyList<string> UnexpectedKeys, IReadOnlyList<string> MismatchedKeys);
