namespace Delora.Bench;

/// <summary>How far results are from those that are wanted.</summary>
/// <param name="Error">The largest difference of an element; NaN where a result or a wanted number is NaN.</param>
/// <param name="Largest">The largest wanted element.</param>
internal readonly record struct Difference(double Error, double Largest)
{
    /// <summary>Whether the error is at most so large, relative to the largest element. NaN and infinity never are.</summary>
    internal bool IsWithin(double tolerance) => double.IsFinite(Error) && Error <= tolerance * Largest;

    /// <summary>Compares element by element.</summary>
    /// <exception cref="InvalidOperationException">There are more of one than of the other, or none.</exception>
    internal static Difference Of(double[] wanted, double[] found)
    {
        if (wanted.Length == 0 || wanted.Length != found.Length)
            throw new InvalidOperationException($"There are {found.Length} results and {wanted.Length} wanted numbers: nothing can be compared.");
        double error = 0, largest = 0;
        for (int i = 0; i < wanted.Length; i++)
        {
            // Math.Max, which hands NaN on: the Max of a sequence passes it over.
            error = Math.Max(error, Math.Abs(wanted[i] - found[i]));
            largest = Math.Max(largest, Math.Abs(wanted[i]));
        }
        return new Difference(error, largest);
    }
}
