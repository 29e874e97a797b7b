using System.Globalization;

namespace Delora.Nn;

/// <summary>
/// Which rank a low-rank update keeps when it is written in another form: all of it, a number, or as much as a share of its energy needs.
/// </summary>
/// <remarks>
/// The energy of an update is the sum of its squared singular values, ‖ΔW‖_F². PEFT (<c>convert_to_lora</c>) takes the latter two as the
/// whole number and the fraction that <c>rank</c> can be.
/// </remarks>
public readonly record struct RankChoice
{
    private RankChoice(int? rank, double? energy) => (Rank, Energy) = (rank, energy);

    /// <summary>Keeps the factors as they are: no decomposition, nothing lost. The default.</summary>
    public static RankChoice Exact => default;

    /// <summary>The rank of every layer, or, below 0, how many directions of each are left out; null where it is not fixed.</summary>
    public int? Rank { get; }

    /// <summary>The share of each layer's energy that is kept at least; null where none is asked for.</summary>
    public double? Energy { get; }

    /// <summary>Whether nothing is decomposed.</summary>
    public bool IsExact => Rank is null && Energy is null;

    /// <summary>
    /// The same rank in every layer. More than an update has is filled with directions of strength 0, as PEFT's decomposition gives them.
    /// </summary>
    /// <param name="rank">At least 1, and at most the smaller side of every adapted weight.</param>
    /// <param name="compatibility">
    /// Strict takes a number below 0 as PEFT does, which slices singular vectors with it: −n leaves out the last n of the min(in, out) directions of each
    /// layer, the smallest.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">It is below 1; strictly, it is 0.</exception>
    public static RankChoice Fixed(int rank, PeftCompatibility compatibility = PeftCompatibility.Extended)
    {
        if (compatibility == PeftCompatibility.Strict) ArgumentOutOfRangeException.ThrowIfZero(rank);
        else ArgumentOutOfRangeException.ThrowIfLessThan(rank, 1);
        return new RankChoice(rank, null);
    }

    /// <summary>In each layer the smallest rank, at least 1, that keeps this share of Σσ².</summary>
    /// <param name="share">In (0, 1].</param>
    /// <exception cref="ArgumentOutOfRangeException">It is outside of it.</exception>
    public static RankChoice EnergyShare(double share)
    {
        if (!(share is > 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(share), share, "A share of the energy must be in (0, 1].");
        return new RankChoice(null, share);
    }

    /// <inheritdoc/>
    public override string ToString() => Rank is { } rank ? string.Create(CultureInfo.InvariantCulture, $"rank {rank}")
        : Energy is { } energy ? string.Create(CultureInfo.InvariantCulture, $"{energy} of the energy")
        : "exact";

    /// <summary>The fixed rank of an update with so many directions, min(in, out); null where none is fixed.</summary>
    internal int? Among(int directions) => Rank < 0 ? directions + Rank : Rank;

    /// <summary>The rank that the share of the energy needs, for singular values that fall.</summary>
    internal int Of(ReadOnlySpan<double> singularValues)
    {
        double total = 0, sum = 0;
        foreach (double value in singularValues) total += value * value;
        for (int i = 0; i < singularValues.Length; i++)
        {
            sum += singularValues[i] * singularValues[i];
            if (sum >= Energy!.Value * total) return i + 1;
        }
        return singularValues.Length;
    }
}
