using System.Text;
using Delora.Cli;

namespace Delora.Tests;

/// <summary>What a command line came to, run in this process.</summary>
internal sealed record CliRun(int ExitCode, string Output, string Error)
{
    public static Task<CliRun> Of(params string[] arguments) => InterruptedAt(null, arguments);

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
        Assert.Equal((Delora.Cli.ExitCode.Success, ""), (run.ExitCode, run.Error));
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
