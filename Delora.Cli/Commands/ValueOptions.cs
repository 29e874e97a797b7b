using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;

namespace Delora.Cli;

/// <summary>
/// Options with checked values. Numbers are read in the invariant culture, whatever the locale; a refusal names option and value.
/// </summary>
internal static class ValueOptions
{
    /// <summary>A device's name; <see cref="SelectedDevice"/> finds out whether there is such a device.</summary>
    public static Option<string> Device() => Make(
        "--device", "auto|cpu|cuda|opencl|reference", "Where to compute; auto takes the fastest device there is.", "auto", text => text);

    public static Option<ulong> Seed(ulong defaultValue) => Make(
        "--seed", "N", "Seed of all random numbers.", defaultValue,
        text => ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong value)
            ? value
            : throw new FormatException($"a whole number from 0 to {ulong.MaxValue} is wanted"));

    /// <summary>A finite number greater than zero.</summary>
    public static Option<double> Positive(string name, string description, double defaultValue) => Make(
        name, "X", description, defaultValue,
        text =>
            double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && double.IsFinite(value) && value > 0
            ? value
            : throw new FormatException("a finite number greater than 0, such as 0.001 or 1e-3, is wanted"));

    /// <summary>A whole number in [<paramref name="least"/>, <paramref name="most"/>].</summary>
    public static Option<int> Count(string name, string description, int defaultValue, int least, int most) => Make(
        name, "N", description, defaultValue,
        text =>
            int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value)
            && value >= least && value <= most
            ? value
            : throw new FormatException($"a whole number from {least} to {most} is wanted"));

    /// <summary>A path, made absolute.</summary>
    public static Option<string?> PathTo(string name, string placeholder, string description, string? defaultValue) => Make<string?>(
        name, placeholder, description, defaultValue, FullPath);

    /// <summary>The absolute form of a path that a user gave.</summary>
    /// <exception cref="FormatException">It is empty or no path.</exception>
    public static string FullPath(string text)
    {
        try
        {
            return Path.GetFullPath(text);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException or PathTooLongException)
        {
            throw new FormatException("a path is wanted", e);
        }
    }

    private static Option<T> Make<T>(string name, string placeholder, string description, T defaultValue, Func<string, T> parse) =>
        new(name)
        {
            Description = description,
            HelpName = placeholder,
            DefaultValueFactory = _ => defaultValue,
            CustomParser = result => Parse(result, name, parse),
        };

    private static T Parse<T>(ArgumentResult result, string name, Func<string, T> parse)
    {
        string text = result.Tokens[^1].Value;
        try
        {
            return parse(text);
        }
        catch (FormatException e)
        {
            result.AddError($"{name} '{text}': {e.Message}");
            return default!;
        }
    }
}
