using Delora.Core;

namespace Delora.Nn;

/// <summary>Texts that are continued together: what each has come to, and how they are padded to one length.</summary>
/// <param name="rows">At least one.</param>
internal sealed class TextBatch(IReadOnlyList<TextBatch.Row> rows)
{
    internal IReadOnlyList<Row> Rows => rows;

    /// <summary>Tokens of the longest prompt.</summary>
    internal int Longest { get; } = rows.Max(row => row.Prompt.Length);

    private bool IsPadded => rows.Any(row => PaddingOf(row) > 0);

    /// <summary>int32 [rows, capacity], 0 for the padding on the left; null where there is none.</summary>
    internal Tensor? Mask(int capacity, Device device)
    {
        if (!IsPadded) return null;
        int[] mask = [.. rows.SelectMany(row => Enumerable.Range(0, capacity).Select(place => place < PaddingOf(row) ? 0 : 1))];
        return Tensor.From(mask, [rows.Count, capacity], device, "padding of prompts").Own();
    }

    /// <summary>
    /// The ids to compute on next, [rows, seq]: the prompts where nothing has been, else the last tokens (of a text that has ended, again); and where
    /// they stand in their texts, null where that is simply counted.
    /// </summary>
    internal (Tensor Ids, Tensor? Positions) Inputs(int done, Device device)
    {
        int seq = done == 0 ? Longest : 1;
        Shape shape = [rows.Count, seq];
        int[] ids = [.. rows.SelectMany(row => done == 0 ? [.. new int[PaddingOf(row)], .. row.Prompt] : (int[])[row.Last])];
        Tensor? positions = null;
        if (IsPadded)
            positions = Tensor.From(
                [.. rows.SelectMany(row => Enumerable.Range(done - PaddingOf(row), seq).Select(place => Math.Max(0, place)))], shape, device, "positions");
        return (Tensor.From(ids, shape, device, "ids"), positions);
    }

    private int PaddingOf(Row row) => Longest - row.Prompt.Length;

    /// <summary>One text.</summary>
    internal sealed class Row(int[] prompt, Generator random, TokenDecoder decoder)
    {
        internal int[] Prompt => prompt;

        internal Generator Random => random;

        internal TokenDecoder Decoder => decoder;

        /// <summary>The token that was chosen last.</summary>
        internal int Last { get; set; }

        internal bool IsFinished { get; set; }
    }
}
