using System.CommandLine;
using System.Globalization;
using Delora.Cli;

namespace Delora.Tests;

/// <summary>Numbers of bytes on the command line: decimal and binary units, each as it is written, in every culture.</summary>
public sealed class SizeOptionTests
{
    [Theory]
    [InlineData("1", 1)]
    [InlineData("7B", 7)]
    [InlineData("5000000000", 5_000_000_000)]
    [InlineData("5GB", 5_000_000_000)]
    [InlineData("5GiB", 5L << 30)]
    [InlineData("1.5kb", 1500)]
    [InlineData("1.5 KiB", 1536)]
    [InlineData("0.25mib", 1 << 18)]
    [InlineData("2MB", 2_000_000)]
    [InlineData("3TB", 3_000_000_000_000)]
    [InlineData("3TiB", 3L << 40)]
    [InlineData("9223372036854775807", long.MaxValue)]
    public void UnitsMeanWhatTheySay(string text, long bytes) => Assert.Equal(bytes, Parse(text, out _));

    [Theory]
    [InlineData("0")]
    [InlineData("0.4B")]
    [InlineData("-1GB")]
    [InlineData("1,5GB")]
    [InlineData("1e3")]
    [InlineData("GB")]
    [InlineData("5G")]
    [InlineData("5XB")]
    [InlineData("9223372036854775808")]
    [InlineData("8388608TiB")]
    [InlineData("99999999999999999999999999999999TB")]
    [InlineData("NaN")]
    public void WhatIsNoSizeIsRefused(string text)
    {
        Parse(text, out string? error);
        Assert.StartsWith($"--size '{text}': a number of bytes such as ", error, StringComparison.Ordinal);
    }

    [Fact]
    public void NothingGivenIsNothing()
    {
        Option<long?> option = Make();
        Assert.Null(new Command("c") { option }.Parse([]).GetValue(option));
    }

    private static Option<long?> Make() => ValueOptions.SizeOrNone("--size", "A size.");

    /// <summary>In a culture whose decimal separator is a comma.</summary>
    private static long? Parse(string text, out string? error)
    {
        CultureInfo before = CultureInfo.CurrentCulture;
        var comma = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        (comma.NumberFormat.NumberDecimalSeparator, comma.NumberFormat.NumberGroupSeparator) = (",", ".");
        CultureInfo.CurrentCulture = comma;
        try
        {
            Option<long?> option = Make();
            ParseResult parsed = new Command("c") { option }.Parse(["--size", text]);
            error = parsed.Errors.FirstOrDefault()?.Message;
            return error is null ? parsed.GetValue(option) : null;
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }
}
