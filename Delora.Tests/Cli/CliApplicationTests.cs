using System.CommandLine;
using Delora.Cli;
using Delora.Core;

namespace Delora.Tests;

public sealed class CliApplicationTests
{
    private sealed record Outcome(int ExitCode, string Output, string Error, object? Options);

    /// <summary>Runs a command line whose <c>demo</c> and <c>demo classify</c> do <paramref name="work"/>.</summary>
    private static async Task<Outcome> Run(Func<CancellationToken, Task<int>>? work, CancellationToken token, params string[] arguments)
    {
        object? seen = null;
        Command Demo(CliConsole console) => DemoCommand.Create(Work, Work);
        Task<int> Work(object options, CancellationToken stop)
        {
            seen = options;
            return work?.Invoke(stop) ?? Task.FromResult(ExitCode.Success);
        }

        using StringWriter output = new(), error = new();
        int exitCode = await new CliApplication([Demo]).RunAsync(arguments, output, error, token);
        return new Outcome(exitCode, output.ToString(), error.ToString(), seen);
    }

    private static Task<Outcome> Run(params string[] arguments) => Run(null, TestContext.Current.CancellationToken, arguments);

    [Fact]
    public async Task DefaultsAreThoseOfTheReadme()
    {
        Outcome outcome = await Run("demo", "classify");
        Assert.Equal(ExitCode.Success, outcome.ExitCode);
        Assert.Equal("", outcome.Error);
        Assert.Equal(
            new ClassifyOptions
            {
                Device = "auto",
                Seed = DemoCommand.DefaultSeed,
                Out = Path.GetFullPath(DemoCommand.DefaultOut),
                Rank = DemoCommand.ClassifyRank,
                Lambda = DemoCommand.ClassifyLambda,
                LearningRate = DemoCommand.ClassifyLearningRate,
            },
            outcome.Options);

        Outcome language = await Run("demo");
        Assert.Equal(
            new LanguageOptions
            {
                Device = "auto",
                Seed = DemoCommand.DefaultSeed,
                Seeds = DemoCommand.DefaultSeeds,
                Out = Path.GetFullPath(DemoCommand.DefaultOut),
                Rank = DemoCommand.DefaultRank,
                Lambda = DemoCommand.DefaultLambda,
                LearningRate = DemoCommand.DefaultLearningRate,
            },
            language.Options);
    }

    [Fact]
    public async Task EveryOptionArrives()
    {
        Outcome outcome = await Run(
            "demo", "classify", "--device", "cpu", "--seed", "18446744073709551615", "--out", "o", "--text-folder", "t", "--rank", "4",
            "--lambda=1e1", "--lr", "0.5", "--quick");
        Assert.Equal("", outcome.Error);
        Assert.Equal(
            new ClassifyOptions
            {
                Device = "cpu",
                Seed = ulong.MaxValue,
                Out = Path.GetFullPath("o"),
                TextFolder = Path.GetFullPath("t"),
                Rank = 4,
                Lambda = 10,
                LearningRate = 0.5,
                Quick = true,
            },
            outcome.Options);

        Outcome language = await Run(
            "demo", "--device", "cpu", "--seed", "5", "--seeds", "2", "--out", "o", "--text", "t", "--rank", "16",
            "--lambda", "30", "--lr", "1e-3", "--quick", "--retrain");
        Assert.Equal("", language.Error);
        Assert.Equal(
            new LanguageOptions
            {
                Device = "cpu",
                Seed = 5,
                Seeds = 2,
                Out = Path.GetFullPath("o"),
                TextFile = Path.GetFullPath("t"),
                Rank = 16,
                Lambda = 30,
                LearningRate = 1e-3,
                Quick = true,
                Retrain = true,
            },
            language.Options);
    }

    [Theory]
    [InlineData("'abc'", "demo", "classify", "--seed", "abc")]
    [InlineData("'-1'", "demo", "classify", "--seed", "-1")]
    [InlineData("'1.5'", "demo", "classify", "--seed", "1.5")]
    [InlineData("'18446744073709551616'", "demo", "classify", "--seed", "18446744073709551616")]
    [InlineData("'NaN'", "demo", "classify", "--lr", "NaN")]
    [InlineData("'-1'", "demo", "classify", "--lr", "-1")]
    [InlineData("'0,001'", "demo", "classify", "--lr", "0,001")]
    [InlineData("'1e999'", "demo", "classify", "--lr", "1e999")]
    [InlineData("'1e39'", "demo", "classify", "--lr", "1e39")]
    [InlineData("'0'", "demo", "classify", "--lambda", "0")]
    [InlineData("'0'", "demo", "classify", "--rank", "0")]
    [InlineData("'2147483648'", "demo", "classify", "--rank", "2147483648")]
    [InlineData("--device", "demo", "classify", "--device")]
    [InlineData("unknown option '--wrong'", "demo", "classify", "--wrong")]
    [InlineData("unknown option '--wrong'", "--wrong")]
    [InlineData("unknown command or argument 'train'", "train")]
    [InlineData("unknown command or argument 'extra'", "demo", "classify", "extra")]
    [InlineData("unknown command or argument '@file'", "demo", "classify", "@file")]
    [InlineData("--out", "demo", "classify", "--out")]
    [InlineData("--out", "demo", "classify", "--out", "")]
    [InlineData("--seed", "demo", "classify", "--seed", "1", "--seed", "2")]
    [InlineData("'0'", "demo", "--seeds", "0")]
    [InlineData("--text", "demo", "--text", "")]
    [InlineData("--seed stands before 'classify'", "demo", "--seed", "1", "classify")]
    [InlineData("unknown option '--text-folder'", "demo", "--text-folder", "x")]
    [InlineData("demo")]
    public async Task BadUsageIsOneLineAndExitCode2(string told, params string[] arguments)
    {
        Outcome outcome = await Run(arguments);
        Assert.Equal(ExitCode.BadInput, outcome.ExitCode);
        Assert.Null(outcome.Options);
        Assert.Equal("", outcome.Output);
        Assert.StartsWith("delora: ", outcome.Error, StringComparison.Ordinal);
        Assert.Contains(told, outcome.Error, StringComparison.Ordinal);
        Assert.Contains("--help')", outcome.Error, StringComparison.Ordinal);
        Assert.Single(outcome.Error.TrimEnd().Split('\n'));
    }

    [Theory]
    [InlineData("--lambda", "demo", "classify", "--help")]
    [InlineData("--retrain", "demo", "--help")]
    [InlineData("0.1.0", "--version")]
    public async Task HelpAndVersionSucceed(string told, params string[] arguments)
    {
        Outcome outcome = await Run(arguments);
        Assert.Equal((ExitCode.Success, ""), (outcome.ExitCode, outcome.Error));
        Assert.Contains(told, outcome.Output, StringComparison.Ordinal);
    }

    public static TheoryData<Exception, int, string> Failures => new()
    {
        { new InputException("there is no folder 'x'"), ExitCode.BadInput, "delora: there is no folder 'x'" },
        { new DeloraFormatException("a.safetensors", "w", "too\nshort"), ExitCode.BadInput, "delora: a.safetensors: w: too short" },
        { new NonFiniteException("loss is NaN at step 5"), ExitCode.Failed, "delora: loss is NaN at step 5" },
        { new IOException("disk full"), ExitCode.Failed, "delora: disk full" },
    };

    [Theory]
    [MemberData(nameof(Failures))]
    public async Task ForeseenFailuresAreOneLine(Exception failure, int exitCode, string line)
    {
        Outcome outcome = await Run(_ => Task.FromException<int>(failure), TestContext.Current.CancellationToken, "demo", "classify");
        Assert.Equal((exitCode, line + Environment.NewLine), (outcome.ExitCode, outcome.Error));
    }

    [Fact]
    public async Task UnforeseenFailureShowsItsTrace()
    {
        CancellationToken token = TestContext.Current.CancellationToken;
        Outcome outcome = await Run(_ => throw new InvalidOperationException("a bug"), token, "demo", "classify");
        Assert.Equal(ExitCode.Failed, outcome.ExitCode);
        Assert.Contains("a bug", outcome.Error, StringComparison.Ordinal);
        Assert.Contains(nameof(UnforeseenFailureShowsItsTrace), outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task InterruptionIs130()
    {
        using CancellationTokenSource source = new();
        Outcome outcome = await Run(
            async token =>
            {
                await source.CancelAsync();
                token.ThrowIfCancellationRequested();
                return ExitCode.Success;
            },
            source.Token,
            "demo",
            "classify");
        Assert.Equal((ExitCode.Interrupted, "delora: interrupted" + Environment.NewLine), (outcome.ExitCode, outcome.Error));
    }

    [Fact]
    public async Task CancellationNobodyAskedForIsAFailure()
    {
        Outcome outcome = await Run(_ => throw new OperationCanceledException(), TestContext.Current.CancellationToken, "demo", "classify");
        Assert.Equal(ExitCode.Failed, outcome.ExitCode);
    }
}
