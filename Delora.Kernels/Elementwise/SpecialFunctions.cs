namespace Delora.Kernels;

/// <summary>Functions in float64 that .NET lacks, for the reference device: accurate to about 1e-15 relative, slow.</summary>
internal static class SpecialFunctions
{
    /// <summary>erf x = 2/√π ∫₀ˣ e^−t² dt.</summary>
    internal static double Erf(double x) => Math.Abs(x) < 2 ? ErfSeries(x) : x > 0 ? 1 - ErfcFraction(x) : ErfcFraction(-x) - 1;

    /// <summary>erfc x = 1 − erf x, without cancellation for positive x.</summary>
    internal static double Erfc(double x) => Math.Abs(x) < 2 ? 1 - ErfSeries(x) : x > 0 ? ErfcFraction(x) : 2 - ErfcFraction(-x);

    // 2/√π e^−x² Σ 2^k x^(2k+1) / (1·3·…·(2k+1)): all terms have one sign (Abramowitz and Stegun, 7.1.6).
    private static double ErfSeries(double x)
    {
        double term = x, sum = x;
        for (int k = 1; Math.Abs(term) > 1e-18 * Math.Abs(sum); k++)
        {
            term *= 2 * x * x / (2 * k + 1);
            sum += term;
        }
        return 2 / Math.Sqrt(Math.PI) * Math.Exp(-x * x) * sum;
    }

    // e^−x²/√π · 1/(x + (1/2)/(x + (2/2)/(x + (3/2)/(x + …)))) for x ≥ 2, from its end (Abramowitz and Stegun, 7.1.14).
    private static double ErfcFraction(double x)
    {
        double fraction = x;
        for (int k = 100; k >= 1; k--) fraction = x + 0.5 * k / fraction;
        return Math.Exp(-x * x) / Math.Sqrt(Math.PI) / fraction;
    }
}
