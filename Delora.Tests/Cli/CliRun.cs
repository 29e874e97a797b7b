using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Delora.Cli;

namespace Delora.Tests;

/// <summary>What a command line came to, run in this process.</summary>
internal sealed record CliRun(int ExitCode, string Output, string Error)
{
    public static Task<CliRun> Of(params string[] arguments) => InterruptedAt(null, arguments);

    /// <summary>Runs a command line of one command alone.</summary>
    /// <param name="command">The command.</param>
    /// <param name="output">Where it writes.</param>
    /// <param name="token">Interrupts it.</param>
    /// <param name="arguments">The command line.</param>
    public static async Task<CliRun> Of(Func<CliConsole, Command> command, StringWriter output, CancellationToken token, params string[] arguments)
    {
        using StringWriter error = new();
        int exitCode = await new CliApplication([command]).RunAsync(arguments, output, error, token);
        return new CliRun(exitCode, output.ToString(), error.ToString());
    }

    /// <summary>What was written between two texts.</summary>
    public string Between(string first, string last) =>
        Output[Output.IndexOf(first, StringComparison.Ordinal)..Output.IndexOf(last, StringComparison.Ordinal)];

    /// <summary>Fails where the command line did not succeed, or complained.</summary>
    public void AssertSuccess() => Assert.Equal((Delora.Cli.ExitCode.Success, ""), (ExitCode, Error));

    /// <summary>Fails where the command line was not interrupted, or said more of it than one line.</summary>
    public void AssertInterrupted() =>
        Assert.Equal((Delora.Cli.ExitCode.Interrupted, "delora: interrupted" + Environment.NewLine), (ExitCode, Error));

    /// <summary>Runs a command line, and interrupts it as soon as it writes a text.</summary>
    public static async Task<CliRun> InterruptedAt(string? text, params string[] arguments)
    {
        using var interrupt = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        using Watched output = new(text, interrupt);
        using StringWriter error = new();
        int exitCode = await CliApplication.Default.RunAsync(arguments, output, error, interrupt.Token);
        return new CliRun(exitCode, output.ToString(), error.ToString());
    }

    /// <summary>Runs a command line that must succeed without a complaint.</summary>
    public static async Task<string> Succeeds(params string[] arguments)
    {
        CliRun run = await Of(arguments);
        run.AssertSuccess();
        return run.Output;
    }

    /// <summary>Runs a command line that must be refused for this reason, in one line.</summary>
    public static async Task<CliRun> Refused(string told, params string[] arguments)
    {
        CliRun run = await Of(arguments);
        Assert.Contains(told, run.Error, StringComparison.Ordinal);
        Assert.Equal(Delora.Cli.ExitCode.BadInput, run.ExitCode);
        Assert.Single(run.Error.TrimEnd().Split('\n'));
        Assert.StartsWith("delora: ", run.Error, StringComparison.Ordinal);
        return run;
    }

    /// <summary>A loss that <c>delora eval</c> printed: <c>base</c>, or <c>with the adapter</c>.</summary>
    public static double Loss(string output, string name) =>
        double.Parse(Regex.Match(output, $@"(?m)^{name}: loss ([0-9.]+)").Groups[1].Value, CultureInfo.InvariantCulture);

    private sealed class Watched(string? text, CancellationTokenSource interrupt) : StringWriter
    {
        public override void WriteLine(string? value)
        {
            base.WriteLine(value);
            Look(value);
        }

        public override void Write(string? value)
        {
            base.Write(value);
            Look(value);
        }

        public override Encoding Encoding => Encoding.UTF8;

        private void Look(string? value)
        {
            if (text is not null && value?.Contains(text, StringComparison.Ordinal) == true)
                interrupt.Cancel();
        }
    }
}
