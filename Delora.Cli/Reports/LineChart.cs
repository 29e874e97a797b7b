namespace Delora.Cli;

/// <summary>One point of a curve; where several runs are shown as one, the mean and the extremes of the runs.</summary>
internal readonly record struct ChartPoint(double X, double Y, double Low, double High)
{
    public ChartPoint(double x, double y) : this(x, y, y, y)
    {
    }
}

/// <summary>A curve.</summary>
/// <param name="Name">Its name in the legend.</param>
/// <param name="Color">Number of its color and mark; curves that belong together in several charts have the same.</param>
/// <param name="Points">In the order of x. A point that is not finite interrupts the line.</param>
/// <param name="Dashed">A limit or a reference: dashed, without marks.</param>
internal sealed record ChartSeries(string Name, int Color, IReadOnlyList<ChartPoint> Points, bool Dashed = false)
{
    /// <summary>Mean, least and greatest of runs that were measured at the same x.</summary>
    /// <exception cref="ArgumentException">There are no runs, or they were measured at different x.</exception>
    public static ChartSeries OfRuns(string name, int color, IReadOnlyList<IReadOnlyList<(double X, double Y)>> runs)
    {
        if (runs.Count == 0)
            throw new ArgumentException($"{name}: no runs", nameof(runs));
        if (runs.Any(run => !run.Select(p => p.X).SequenceEqual(runs[0].Select(p => p.X))))
            throw new ArgumentException($"{name}: the runs were measured at different x", nameof(runs));
        return new ChartSeries(name, color, [.. Enumerable.Range(0, runs[0].Count).Select(i => new ChartPoint(
            runs[0][i].X, runs.Average(run => run[i].Y), runs.Min(run => run[i].Y), runs.Max(run => run[i].Y)))]);
    }

    /// <summary>
    /// At most <paramref name="most"/> points, each the mean of neighbors: a curve of single batches is noise that hides its course, and
    /// no screen shows thousands of points.
    /// </summary>
    public static IReadOnlyList<(double X, double Y)> Smooth(IReadOnlyList<(double X, double Y)> points, int most)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(most, 1);
        int groups = Math.Min(most, points.Count);
        return [.. Enumerable.Range(0, groups).Select(g =>
        {
            int from = (int)((long)points.Count * g / groups), to = (int)((long)points.Count * (g + 1) / groups);
            IEnumerable<(double X, double Y)> group = points.Skip(from).Take(to - from);
            return (group.Average(p => p.X), group.Average(p => p.Y));
        })];
    }
}

/// <summary>A chart of curves over one x.</summary>
/// <param name="Title">What it shows.</param>
/// <param name="XTitle">Quantity and unit along x.</param>
/// <param name="YTitle">Quantity and unit along y.</param>
/// <param name="Series">The curves, at least one.</param>
/// <param name="FromZero">Whether y begins at 0 even where the values do not.</param>
internal sealed record LineChart(string Title, string XTitle, string YTitle, IReadOnlyList<ChartSeries> Series, bool FromZero = false);
