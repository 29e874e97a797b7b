using System.Globalization;

namespace Delora.Cli;

/// <summary>An axis whose ticks are round numbers: multiples of 1, 2 or 5 times a power of ten (Heckbert, Graphics Gems, 1990).</summary>
internal sealed class NiceScale
{
    private readonly double _step;
    private readonly int _decimals;

    private NiceScale(double step, long first, long last)
    {
        _step = step;
        _decimals = Math.Max(0, -(int)Math.Floor(Math.Log10(step) + 1e-9));
        (Low, High) = (first * step, last * step);
        Ticks = [.. Enumerable.Range(0, checked((int)(last - first)) + 1).Select(i => (first + i) * step)];
    }

    /// <summary>First and last tick; they enclose the values.</summary>
    public double Low { get; }

    public double High { get; }

    public IReadOnlyList<double> Ticks { get; }

    /// <summary>
    /// A scale around [<paramref name="low"/>, <paramref name="high"/>] with about <paramref name="count"/> intervals, twice that at most.
    /// </summary>
    /// <exception cref="ArgumentException">A limit is not finite, they are in the wrong order, or <paramref name="count"/> is below
    /// 1.</exception>
    public static NiceScale Around(double low, double high, int count)
    {
        if (!double.IsFinite(low) || !double.IsFinite(high) || low > high)
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"no scale around [{low}, {high}]"));
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);

        // A range that is too small for its place among the numbers, one value included, is widened.
        double least = Math.Max(Math.Max(Math.Abs(low), Math.Abs(high)) * 1e-9, 1e-300);
        if (high - low < least)
        {
            double half = low == 0 && high == 0 ? 0.5 : Math.Max(Math.Abs(low) * 0.1, least);
            (low, high) = (low - half, high + half);
        }

        double rough = (high / count) - (low / count);
        double power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        double step = power * ((rough / power) switch { <= 1.0000001 => 1, <= 2.0000001 => 2, <= 5.0000001 => 5, _ => 10 });
        return new NiceScale(step, (long)Math.Floor((low / step) + 1e-9), (long)Math.Ceiling((high / step) - 1e-9));
    }

    /// <summary>A tick's label, with as many decimals as the ticks need to differ; very large and small ones with an exponent.</summary>
    public string Label(double tick)
    {
        double size = Math.Max(Math.Abs(Low), Math.Abs(High));
        if (size >= 1e6 || _step < 1e-4)
            return tick == 0 ? "0" : tick.ToString("0.####e0", CultureInfo.InvariantCulture);
        double rounded = Math.Round(tick, Math.Min(_decimals, 15));
        return (rounded == 0 ? 0 : rounded).ToString($"N{_decimals}", CultureInfo.InvariantCulture);
    }
}
