using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// Examples, one a row: never two in one row, filled up at the right to the length of the longest with positions that do not count (a model
/// computes them only to the longest row of a batch). What belongs to a prompt goes in and is no target.
/// </summary>
public sealed class TokenExamples : TokenRows
{
    private readonly (int[] Ids, int Prompt)[] _rows;
    private readonly int _length, _padding;

    /// <param name="rows">The ids of each example, at least two, and how many of them, at the front, are no targets.</param>
    /// <param name="padding">The id that goes in where a row is filled up.</param>
    internal TokenExamples(List<(int[] Ids, int Prompt)> rows, int padding)
    {
        _rows = [.. rows];
        _length = _rows.Max(row => row.Ids.Length) - 1;
        _padding = padding;
    }

    /// <inheritdoc/>
    public override int Count => _rows.Length;

    /// <inheritdoc/>
    public override int Length => _length;

    private protected override void Fill(int row, Span<int> inputs, Span<int> targets)
    {
        (int[] ids, int prompt) = _rows[row];
        Fill(ids, _padding, inputs, targets);
        targets[..Math.Clamp(prompt - 1, 0, ids.Length - 1)].Fill(CrossEntropyKernel.IgnoreIndex);
    }
}
