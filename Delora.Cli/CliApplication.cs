using System.CommandLine;
using System.CommandLine.Parsing;
using Delora.Core;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>The <c>delora</c> command: parses arguments, runs one command and turns what happened into an exit code.</summary>
/// <param name="commands">Makes the subcommands of the root for one run.</param>
internal sealed class CliApplication(IReadOnlyList<Func<CliConsole, Command>> commands)
{
    private const string Name = "delora";

    /// <summary>The command as users have it.</summary>
    public static CliApplication Default { get; } = new(
    [
        TrainCommand.Create,
        EvalCommand.Create,
        GenerateCommand.Create,
        ClassifyCommand.Create,
        EmbedCommand.Create,
        AddHeadCommand.Create,
        MergeCommand.Create,
        ExportCommand.Create,
        CombineCommand.Create,
        console => DemoCommand.Create(
            (options, stop) => Task.Run(() => LanguageDemo.Run(console, options, stop), stop),
            (options, stop) => Task.Run(() => ClassifyDemo.Run(console, options, stop), stop)),
        InspectCommand.Create,
        DevicesCommand.Create,
    ]);

    /// <summary>
    /// Runs one command line. Bad usage and bad input end in <see cref="ExitCode.BadInput"/> with one line on
    /// <paramref name="error"/>, a cancelled run in <see cref="ExitCode.Interrupted"/>, every other failure in <see
    /// cref="ExitCode.Failed"/>.
    /// </summary>
    public async Task<int> RunAsync(
        IReadOnlyList<string> arguments, TextWriter output, TextWriter error, CancellationToken cancellationToken, bool interactive = false,
        Func<Stream>? openInput = null)
    {
        RootCommand root = new("Trains DeLoRA adapters of language models and classifiers, uses them, and looks into their files.");
        CliConsole console = new(output, error, interactive, openInput: openInput);
        foreach (Func<CliConsole, Command> command in commands)
            root.Add(command(console));

        // No response files: an argument that begins with @ is an argument.
        ParseResult parsed = root.Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });
        try
        {
            if (parsed.Errors.Count > 0 && parsed.Action is not { ClearsParseErrors: true })
                return Complain(error, $"{UsageError(parsed)} (see '{CommandPath(parsed)} --help')");
            return await parsed.InvokeAsync(
                new InvocationConfiguration
                {
                    Output = output,
                    Error = error,
                    EnableDefaultExceptionHandler = false,
                    ProcessTerminationTimeout = null,
                },
                cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return Complain(error, "interrupted", ExitCode.Interrupted);
        }
        catch (Exception e) when (e is InputException or DeloraFormatException or PromptException)
        {
            return Complain(error, e.Message);
        }
        catch (Exception e) when (e is DeloraException or IOException or UnauthorizedAccessException)
        {
            return Complain(error, e.Message, ExitCode.Failed);
        }
        catch (Exception e)
        {
            // None of the failures that are foreseen: the trace is what a bug report needs.
            error.WriteLine($"{Name}: unexpected error: {e}");
            return ExitCode.Failed;
        }
    }

    private static int Complain(TextWriter error, string message, int exitCode = ExitCode.BadInput)
    {
        error.WriteLine($"{Name}: {Printable.Line(message)}");
        return exitCode;
    }

    /// <summary>
    /// The first error that says what is wrong: an unknown word also makes the parser miss a command or an argument, which helps nobody.
    /// </summary>
    private static string UsageError(ParseResult parsed)
    {
        if (parsed.UnmatchedTokens.Count > 0)
        {
            string token = parsed.UnmatchedTokens[0];
            return $"unknown {(token.StartsWith('-') ? "option" : "command or argument")} '{token}'";
        }

        Command command = parsed.CommandResult.Command;
        if (command.Subcommands.Count > 0 && command.Action is null)
            return $"a command is needed: {string.Join(", ", command.Subcommands.Select(x => x.Name))}";
        return parsed.Errors[0].Message.TrimEnd('.');
    }

    private static string CommandPath(ParseResult parsed)
    {
        string path = "";
        for (SymbolResult? result = parsed.CommandResult; result is CommandResult { Command: var command }; result = result.Parent)
            path = command is RootCommand ? Name + path : $" {command.Name}{path}";
        return path;
    }
}
