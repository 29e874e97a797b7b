using Delora.Cli;
using Spectre.Console;

namespace Delora.Tests;

public sealed class ProgressPhaseTests
{
    private sealed class ManualTime : TimeProvider
    {
        public TimeSpan Now { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now.Ticks;
    }

    [Fact]
    public void PlainLinesComeAtTheFirstStepEveryFiveSecondsAndAtTheEnd()
    {
        ManualTime time = new();
        using StringWriter output = new();
        CliConsole console = new(output, TextWriter.Null, interactive: false, time);
        using (ProgressPhase phase = new(console, "base", 100))
        {
            for (int step = 1; step <= 100; step++)
            {
                time.Now += TimeSpan.FromMilliseconds(100);
                phase.Report(new StepProgress(step, 1.0 / step, 1e-3, step * 128L));
            }
        }

        Assert.Equal(
            [
                "base: step   1/100  loss 1.0000  lr 1.00e-3  1,280 samples/s  0:10 left",
                "base: step  51/100  loss 0.0196  lr 1.00e-3  1,280 samples/s  0:05 left",
                "base: 100 steps in 10.0 s, loss 0.0100, 1,280 samples/s",
            ],
            output.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public void BrokenOffRunSaysHowFarItCame()
    {
        ManualTime time = new();
        using StringWriter output = new();
        ProgressPhase phase = new(new CliConsole(output, TextWriter.Null, interactive: false, time), "base", 100);
        time.Now += TimeSpan.FromSeconds(1);
        phase.Report(new StepProgress(7, 2, 1e-3, 70));
        phase.Dispose();
        phase.Dispose();
        Assert.Equal(
            "base: stopped after 7 of 100 steps in 1.0 s, loss 2.0000, 70 samples/s",
            output.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries)[^1]);
    }

    [Fact]
    public void ARunThatGoesOnIsTimedFromWhereItDoes()
    {
        using StringWriter output = new();
        CliConsole console = new(output, TextWriter.Null, interactive: false, new ManualTime());
        using (ProgressPhase phase = new(console, "base", 100, "tokens"))
        {
            phase.Report(new StepProgress(91, 2, 1e-3, 50, TimeSpan.FromSeconds(1)));
            phase.WriteLine("news");
            phase.Report(new StepProgress(100, 1, 1e-3, 500, TimeSpan.FromSeconds(10)));
        }

        Assert.Equal(
            [
                "base: step  91/100  loss 2.0000  lr 1.00e-3  50 tokens/s  0:09 left",
                "base: news",
                "base: steps 91 to 100 in 10.0 s, loss 1.0000, 50 tokens/s",
            ],
            output.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public void RedirectedTablesHaveNoControlCodes()
    {
        using StringWriter output = new();
        CliConsole console = new(output, TextWriter.Null, interactive: false);
        Assert.False(console.IsLive);
        console.Ansi.Write(new Table().AddColumn("[bold]a[/]").AddRow("[green]1[/]"));
        Assert.Contains('1', output.ToString());
        Assert.DoesNotContain('\e', output.ToString());
    }

    [Theory]
    [InlineData(-1, "0:00")]
    [InlineData(0, "0:00")]
    [InlineData(0.2, "0:01")]
    [InlineData(61, "1:01")]
    [InlineData(3599.5, "1:00:00")]
    [InlineData(36_061, "10:01:01")]
    [InlineData(1e11, "99999:59:59")]
    public void ClockTimes(double seconds, string expected) => Assert.Equal(expected, ProgressPhase.Clock(TimeSpan.FromSeconds(seconds)));
}
