namespace Delora.Cli;

/// <summary>What the user gave cannot be used: wrong arguments, a missing folder, a file of another kind. Exit code 2.</summary>
/// <remarks>The message is one complete line for the person at the terminal; nothing else about the exception is shown.</remarks>
internal sealed class InputException : Exception
{
    public InputException(string message) : base(message)
    {
    }

    public InputException(string message, Exception innerException) : base(message, innerException)
    {
    }
}
