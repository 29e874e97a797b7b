using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>
/// Options with checked values. Numbers are read in the invariant culture, whatever the locale; a refusal names option and value.
/// </summary>
internal static class ValueOptions
{
    /// <summary>A device's name; <see cref="SelectedDevice"/> finds out whether there is such a device.</summary>
    public static Option<string> Device() => Make(
        "--device", "auto|cpu|cuda[:N]|opencl[:N]|reference|simulator",
        "Where to compute; auto takes the fastest device there is, cuda:1 the second card (see delora devices).", "auto", text => text);

    /// <summary>The precision of matrix products; <see cref="SelectedDevice"/> finds out whether the device has it.</summary>
    public static Option<MatMulPrecision> Precision()
    {
        Option<MatMulPrecision> option = Make(
            "--precision", string.Join('|', Enum.GetValues<MatMulPrecision>().Select(precision => precision.Name)),
            "What matrix products round their operands to; sums stay float32. Others than float32 are for CUDA cards. [default: float32]",
            MatMulPrecision.Float32,
            text => Enum.GetValues<MatMulPrecision>().Cast<MatMulPrecision?>().FirstOrDefault(precision => precision!.Value.Name == text)
                ?? throw new FormatException($"one of {string.Join(", ", Enum.GetValues<MatMulPrecision>().Select(precision => precision.Name))} is wanted"));
        // What the help would show is the name in the code, not the word that is to be given; float32 is the type's default.
        option.DefaultValueFactory = null;
        return option;
    }

    public static Option<ulong> Seed(ulong defaultValue) => Make(
        "--seed", "N", "Seed of all random numbers.", defaultValue,
        text => ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong value)
            ? value
            : throw new FormatException($"a whole number from 0 to {ulong.MaxValue} is wanted"));

    /// <summary>A number greater than zero.</summary>
    public static Option<double> Positive(string name, string description, double defaultValue) =>
        Make(name, "X", description, defaultValue, ParsePositive);

    /// <summary>A number greater than zero, or null where the option is not given.</summary>
    public static Option<double?> PositiveOrNone(string name, string description) =>
        Make<double?>(name, "X", description, null, text => ParsePositive(text));

    /// <summary>A number, 0 or more.</summary>
    public static Option<double> NotNegative(string name, string description, double defaultValue) => Make(
        name, "X", description, defaultValue, text => ParseNumber(text, value => value >= 0, "a number of 0 or more, finite as float32,"));

    /// <summary>A number, 0 or more, or null where the option is not given.</summary>
    public static Option<double?> NotNegativeOrNone(string name, string description) => Make<double?>(
        name, "X", description, null, text => ParseNumber(text, value => value >= 0, "a number of 0 or more, finite as float32,"));

    /// <summary>A finite number, or null where the option is not given.</summary>
    public static Option<double?> NumberOrNone(string name, string description) =>
        Make<double?>(name, "X", description, null, text => ParseNumber(text, _ => true, "a number, finite as float32,"));

    /// <summary>A number in [0, 1).</summary>
    public static Option<double> Share(string name, string description, double defaultValue) => Make(
        name, "X", description, defaultValue, text => ParseNumber(text, value => value is >= 0 and < 1, "a number from 0 to below 1"));

    /// <summary>A number in (0, 1].</summary>
    public static Option<double?> ProbabilityOrNone(string name, string description) => Make<double?>(
        name, "X", description, null, text => ParseNumber(text, value => value is > 0 and <= 1, "a number above 0, at most 1,"));

    /// <summary>A whole number in [<paramref name="least"/>, <paramref name="most"/>].</summary>
    public static Option<int> Count(string name, string description, int defaultValue, int least = 1, int most = int.MaxValue) =>
        Make(name, "N", description, defaultValue, text => ParseCount(text, least, most));

    /// <summary>
    /// A whole number in [<paramref name="least"/>, <paramref name="most"/>], or null where the option is not given.
    /// </summary>
    public static Option<int?> CountOrNone(string name, string description, int least = 1, int most = int.MaxValue) =>
        Make<int?>(name, "N", description, null, text => ParseCount(text, least, most));

    /// <summary>Finite numbers with commas between, or null where the option is not given.</summary>
    public static Option<double[]?> Numbers(string name, string description) => Make<double[]?>(
        name, "X,X,…", description, null,
        text => [.. text.Split(',', StringSplitOptions.TrimEntries).Select(part => ParseNumber(part, _ => true, "finite numbers with commas between"))]);

    /// <summary>
    /// A number of bytes, or null where the option is not given. Units mean what they say: KB, MB, GB, TB are powers of 1000, KiB, MiB, GiB, TiB those of
    /// 1024; a bare number is bytes.
    /// </summary>
    public static Option<long?> SizeOrNone(string name, string description) =>
        Make<long?>(name, "N[B|KB|MB|GB|TB|KiB|MiB|GiB|TiB]", description, null, text => ParseSize(text));

    /// <summary>One of several words.</summary>
    public static Option<string> Choice(string name, string description, string defaultValue, params string[] words) =>
        Make(name, string.Join('|', words), description, defaultValue, text => ParseChoice(text, words));

    /// <summary>One of several words, or null where the option is not given.</summary>
    public static Option<string?> ChoiceOrNone(string name, string description, params string[] words) =>
        Make<string?>(name, string.Join('|', words), description, null, text => ParseChoice(text, words));

    /// <summary>Which layers are meant: names, all linear layers, or a pattern.</summary>
    public static Option<ModuleSelector?> Modules(string name, string description) =>
        Make(name, "NAMES|all-linear|re:REGEX", description, null, ParseModules);

    /// <summary>A path, made absolute.</summary>
    public static Option<string?> PathTo(string name, string placeholder, string description, string? defaultValue) => Make<string?>(
        name, placeholder, description, defaultValue, FullPath);

    /// <summary>A path as the user wrote it, which must be given.</summary>
    public static Option<string?> RequiredPath(string name, string placeholder, string description)
    {
        Option<string?> option = PathAsGiven(name, placeholder, description);
        // A default value, be it null, would count as given.
        (option.Required, option.DefaultValueFactory) = (true, null);
        return option;
    }

    /// <summary>A path as the user wrote it, or null where the option is not given.</summary>
    public static Option<string?> PathAsGiven(string name, string placeholder, string description) => Make<string?>(
        name, placeholder, description, null, PathAsIs);

    /// <summary>Any number of paths as the user wrote them, one each time the option is given; none where it is not.</summary>
    public static Option<string[]> Paths(string name, string placeholder, string description) => new(name)
    {
        Description = description,
        HelpName = placeholder,
        Arity = ArgumentArity.OneOrMore,
        DefaultValueFactory = _ => [],
        CustomParser = result => [.. result.Tokens.Select(token => Parse(result, name, token.Value, PathAsIs))],
    };

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

    private static string PathAsIs(string text)
    {
        FullPath(text);
        return text;
    }

    private static double ParsePositive(string text) =>
        ParseNumber(text, value => (float)value > 0, "a number above 0, finite as float32, such as 0.001 or 1e-3,");

    /// <summary>Finite as float32, in which everything is computed.</summary>
    private static double ParseNumber(string text, Predicate<double> fits, string wanted) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && float.IsFinite((float)value) && fits(value)
            ? value
            : throw new FormatException($"{wanted} is wanted");

    private static int ParseCount(string text, int least, int most) =>
        int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value) && value >= least && value <= most
            ? value
            : throw new FormatException($"a whole number from {least} to {most} is wanted");

    private static long ParseSize(string text)
    {
        // A name that ends another comes behind it.
        (string Name, decimal Factor)[] units =
        [
            ("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30), ("TiB", 1L << 40), ("KB", 1e3m), ("MB", 1e6m), ("GB", 1e9m), ("TB", 1e12m), ("B", 1),
            ("", 1),
        ];
        (string unit, decimal factor) = units.First(unit => text.EndsWith(unit.Name, StringComparison.OrdinalIgnoreCase));
        return decimal.TryParse(text[..^unit.Length].TrimEnd(), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal number)
            && number <= long.MaxValue / factor && number * factor >= 1
            ? (long)(number * factor)
            : throw new FormatException("a number of bytes such as 5000000, 500MB (a million bytes each) or 1.5GiB (1024³ bytes each) is wanted");
    }

    private static string ParseChoice(string text, string[] words) =>
        words.Contains(text) ? text : throw new FormatException($"one of {string.Join(", ", words)} is wanted");

    private static ModuleSelector ParseModules(string text)
    {
        const string Pattern = "re:";
        if (text.StartsWith(Pattern, StringComparison.Ordinal))
            return text.Length > Pattern.Length ? text[Pattern.Length..] : throw new FormatException("a regular expression is wanted after re:");
        if (text == "all-linear")
            return ModuleSelector.AllLinear;
        string[] names = text.Split(',', StringSplitOptions.TrimEntries);
        return names.All(name => name.Length > 0)
            ? ModuleSelector.Of(names)
            : throw new FormatException("names of layers, with commas between them, are wanted");
    }

    private static Option<T> Make<T>(string name, string placeholder, string description, T defaultValue, Func<string, T> parse) =>
        new(name)
        {
            Description = description,
            HelpName = placeholder,
            DefaultValueFactory = _ => defaultValue,
            CustomParser = result => Parse(result, name, result.Tokens[^1].Value, parse),
        };

    private static T Parse<T>(ArgumentResult result, string name, string text, Func<string, T> parse)
    {
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
