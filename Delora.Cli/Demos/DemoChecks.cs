using System.Globalization;

namespace Delora.Cli;

/// <summary>What must hold in every demo.</summary>
internal static class DemoChecks
{
    /// <summary>How far the loss may move when the adapter is merged: another order of the same sums.</summary>
    public const double MergeTolerance = 1e-5;

    /// <summary><see cref="MergeTolerance"/> in words.</summary>
    public static string Tolerance { get; } = MergeTolerance.ToString("0e0", CultureInfo.InvariantCulture);

    /// <summary>A norm beyond its bound has stopped the run it was seen in; here is what was seen in those that ended.</summary>
    public static DemoCheck Bound<TScores>(MethodResult<TScores> method)
        where TScores : IScores<TScores>
    {
        double share = method.Runs.Max(run => run.Record.LargestShareOfBound ?? double.NaN);
        return new DemoCheck(
            "‖ΔW‖_F of every adapted layer stays within its bound",
            share <= 1 + RunRecorder<TScores>.BoundTolerance,
            string.Create(
                CultureInfo.InvariantCulture,
                $"at most {100 * share:F1} % of it, looked at {method.Runs.Sum(run => run.Record.Updates.Count):N0} times"));
    }

    /// <summary>The gain is not an accident of the seed.</summary>
    /// <param name="method">The method.</param>
    /// <param name="what">What is gained, for instance <c>accuracy</c>.</param>
    /// <param name="on">On what, for instance <c>the new families</c>.</param>
    /// <param name="format">Format of the gain.</param>
    /// <param name="unit">Its unit.</param>
    public static DemoCheck Gain<TScores>(MethodResult<TScores> method, string what, string on, string format, string unit)
        where TScores : IScores<TScores>
    {
        Figure gain = method.Gain;
        string amount = $"{gain.Text(format)} {unit}";
        return gain.Spread is { } spread
            ? new DemoCheck(
                $"the gain on {on} is at least three times its spread over the seeds",
                gain.Mean > 0 && gain.Mean >= 3 * spread,
                spread > 0 ? string.Create(CultureInfo.InvariantCulture, $"{amount}: {gain.Mean / spread:F0} times") : amount)
            : new DemoCheck($"{what} is gained on {on} (a single seed: no spread to compare with)", gain.Mean > 0, amount);
    }

    /// <summary>The loss of the merged weights is that of the adapter.</summary>
    /// <param name="difference">By how much it moves at most.</param>
    public static DemoCheck Merged(double difference) => new(
        $"merged into the weights, the loss is the same to {Tolerance}",
        difference <= MergeTolerance,
        string.Create(CultureInfo.InvariantCulture, $"it moves by {difference:G3} at most"));
}
