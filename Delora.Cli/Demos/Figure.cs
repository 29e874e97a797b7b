using System.Globalization;

namespace Delora.Cli;

/// <summary>Mean and spread of a figure over several seeds.</summary>
/// <param name="Mean">The mean.</param>
/// <param name="Spread">The sample's standard deviation; null with a single seed.</param>
internal readonly record struct Figure(double Mean, double? Spread)
{
    /// <summary>The figure of several runs.</summary>
    public static Figure Of(IReadOnlyList<double> values)
    {
        double mean = values.Average();
        return new Figure(mean, values.Count < 2 ? null : Math.Sqrt(values.Sum(x => (x - mean) * (x - mean)) / (values.Count - 1)));
    }

    /// <summary>For instance <c>81.4 ± 0.5</c>.</summary>
    public string Text(string format)
    {
        string mean = Mean.ToString(format, CultureInfo.InvariantCulture);
        return Spread is { } spread ? $"{mean} ± {spread.ToString(format, CultureInfo.InvariantCulture)}" : mean;
    }
}
