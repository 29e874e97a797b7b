using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// Training data of a language model: rows of one length, each with the token ids that go in and, for each position, the id that is to
/// come out. Positions that do not count have the target <see cref="CrossEntropyKernel.IgnoreIndex"/>. Immutable, and for any number of
/// threads.
/// </summary>
public abstract class TokenRows
{
    private readonly Lazy<string> _fingerprint;
    private readonly Lazy<(long Targets, int LargestId)> _extent;

    private protected TokenRows()
    {
        _fingerprint = new Lazy<string>(ComputeFingerprint);
        _extent = new Lazy<(long, int)>(ComputeExtent);
    }

    /// <summary>Number of rows.</summary>
    public abstract int Count { get; }

    /// <summary>Positions in every row.</summary>
    public abstract int Length { get; }

    /// <summary>Positions that count, in all rows: the tokens that are predicted.</summary>
    public long TargetCount => _extent.Value.Targets;

    /// <summary>The largest id that goes in or is to come out; a model's vocabulary must be larger.</summary>
    public int LargestId => _extent.Value.LargestId;

    /// <summary>
    /// SHA-256 of all inputs and targets in their order, in hexadecimal digits: a run that goes on compares it with that of the data it
    /// began with.
    /// </summary>
    public string Fingerprint => _fingerprint.Value;

    /// <summary>The rows of a batch, in this order, one behind the other: two arrays of the shape <c>[rows, length]</c>.</summary>
    /// <param name="rows">Their numbers, from 0; a row may be there twice.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such row, or the rows are more than an array holds.</exception>
    public (int[] Inputs, int[] Targets) Take(params ReadOnlySpan<int> rows)
    {
        foreach (int row in rows)
            if ((uint)row >= (uint)Count)
                throw new ArgumentOutOfRangeException(nameof(rows), row, $"There are {Count} rows.");
        if ((long)rows.Length * Length > Array.MaxLength)
            throw new ArgumentOutOfRangeException(nameof(rows), rows.Length,
                $"So many rows of {Length} positions are more than the {Array.MaxLength} that an array holds.");
        int[] inputs = new int[rows.Length * Length], targets = new int[inputs.Length];
        for (int i = 0; i < rows.Length; i++)
            Fill(rows[i], inputs.AsSpan(i * Length, Length), targets.AsSpan(i * Length, Length));
        return (inputs, targets);
    }

    /// <summary>
    /// A batch without the positions at the right from which on no row has a target. They change nothing: no position before them sees them.
    /// So a batch is as long as its longest row, whatever the rows of other batches.
    /// </summary>
    /// <param name="batch">Inputs and targets, one row behind the other.</param>
    /// <param name="length">Positions in a row.</param>
    /// <param name="lengthOf">How many positions are kept where so many are needed; null: no more than that.</param>
    /// <returns>The batch, and the positions that its rows have now; as it was where it has no target at all.</returns>
    internal static ((int[] Inputs, int[] Targets) Batch, int Length) Trim(
        (int[] Inputs, int[] Targets) batch, int length, Func<int, int>? lengthOf = null)
    {
        int rows = batch.Inputs.Length / length, used = 0;
        for (int row = 0; row < rows; row++)
            used = Math.Max(used, batch.Targets.AsSpan(row * length, length).LastIndexOfAnyExcept(CrossEntropyKernel.IgnoreIndex) + 1);
        if (used > 0 && lengthOf is not null) used = Math.Clamp(lengthOf(used), used, length);
        return used == 0 || used == length ? (batch, length) : ((Cut(batch.Inputs), Cut(batch.Targets)), used);

        int[] Cut(int[] all)
        {
            int[] cut = new int[rows * used];
            for (int row = 0; row < rows; row++) all.AsSpan(row * length, used).CopyTo(cut.AsSpan(row * used));
            return cut;
        }
    }

    /// <summary>For each row, what is left of it behind <see cref="Trim"/>, and the positions that count.</summary>
    internal IEnumerable<BatchExtent> RowExtents()
    {
        int[] inputs = new int[Length], targets = new int[Length];
        for (int row = 0; row < Count; row++)
        {
            Fill(row, inputs, targets);
            yield return new BatchExtent(
                targets.AsSpan().LastIndexOfAnyExcept(CrossEntropyKernel.IgnoreIndex) + 1,
                targets.Length - targets.AsSpan().Count(CrossEntropyKernel.IgnoreIndex));
        }
    }

    /// <summary>Writes one row; both spans have <see cref="Length"/> elements.</summary>
    private protected abstract void Fill(int row, Span<int> inputs, Span<int> targets);

    /// <summary>
    /// Writes a row of which ids[i + 1] is the target of ids[i]. What it lacks at the right is filled with <paramref name="padding"/>,
    /// and targets nothing.
    /// </summary>
    private protected static void Fill(ReadOnlySpan<int> ids, int padding, Span<int> inputs, Span<int> targets)
    {
        ids[..^1].CopyTo(inputs);
        ids[1..].CopyTo(targets);
        inputs[(ids.Length - 1)..].Fill(padding);
        targets[(ids.Length - 1)..].Fill(CrossEntropyKernel.IgnoreIndex);
    }

    private (long Targets, int LargestId) ComputeExtent()
    {
        int[] inputs = new int[Length], targets = new int[Length];
        (long count, int largest) = (0, 0);
        for (int row = 0; row < Count; row++)
        {
            Fill(row, inputs, targets);
            count += targets.Length - targets.AsSpan().Count(CrossEntropyKernel.IgnoreIndex);
            largest = Math.Max(largest, Math.Max(inputs.Max(), targets.Max()));
        }
        return (count, largest);
    }

    private string ComputeFingerprint()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        int[] inputs = new int[Length], targets = new int[Length];
        Append([Count, Length]);
        for (int row = 0; row < Count; row++)
        {
            Fill(row, inputs, targets);
            Append(inputs);
            Append(targets);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());

        // In the machine's own byte order: another order is other data, and refused.
        void Append(ReadOnlySpan<int> values) => hash.AppendData(MemoryMarshal.AsBytes(values));
    }
}
