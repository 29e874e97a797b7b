namespace Delora.Cli;

/// <summary>What the <c>delora</c> command returns to its caller.</summary>
internal static class ExitCode
{
    public const int Success = 0;

    /// <summary>The work was started and failed.</summary>
    public const int Failed = 1;

    /// <summary>Wrong arguments or an input that cannot be used.</summary>
    public const int BadInput = 2;

    /// <summary>Stopped by Ctrl-C or a request to terminate: 128 + SIGINT, as shells report it.</summary>
    public const int Interrupted = 130;
}
