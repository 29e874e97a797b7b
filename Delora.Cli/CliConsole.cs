using Spectre.Console;

namespace Delora.Cli;

/// <summary>Where a command writes: results and progress to <see cref="Output"/>, complaints to <see cref="Error"/>.</summary>
internal sealed class CliConsole
{
    /// <summary>Columns that tables may take where no terminal sets a limit.</summary>
    private const int RedirectedWidth = 140;

    /// <param name="output">Standard output.</param>
    /// <param name="error">Standard error.</param>
    /// <param name="interactive">
    /// Whether <paramref name="output"/> is a terminal. If not, no control code is ever written to it, colors included.
    /// </param>
    /// <param name="time">The clock of progress and timings.</param>
    /// <param name="openInput">Opens standard input.</param>
    public CliConsole(TextWriter output, TextWriter error, bool interactive, TimeProvider? time = null, Func<Stream>? openInput = null)
    {
        OpenInput = openInput ?? Console.OpenStandardInput;
        (Output, Error, Time) = (output, error, time ?? TimeProvider.System);
        Ansi = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(output),
            Ansi = interactive ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = interactive ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Interactive = interactive ? InteractionSupport.Detect : InteractionSupport.No,
        });
        IsLive = interactive && Ansi.Profile.Capabilities.Ansi;
        if (!interactive)
            Ansi.Profile.Width = RedirectedWidth;
    }

    /// <summary>Opens standard input.</summary>
    public Func<Stream> OpenInput { get; }

    public TextWriter Output { get; }

    public TextWriter Error { get; }

    public TimeProvider Time { get; }

    /// <summary>Tables and styled text on <see cref="Output"/>.</summary>
    public IAnsiConsole Ansi { get; }

    /// <summary>Whether a line can be drawn again in place.</summary>
    public bool IsLive { get; }

    /// <summary>Tells of something that does not stop the command: a line on <see cref="Error"/>.</summary>
    public void Warn(string message) => Error.WriteLine($"delora: warning: {Printable.Line(message)}");
}
