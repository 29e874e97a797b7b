using System.CommandLine;
using Delora.Core;
using Delora.Nn;

namespace Delora.Cli;

/// <summary><c>delora inspect</c>: what a safetensors file, a model folder or an adapter folder holds.</summary>
internal static class InspectCommand
{
    public static Command Create(CliConsole console)
    {
        Argument<string> path = new("file-or-folder")
        {
            Description = "A safetensors file, a model folder, an adapter folder, or a folder with adapters in its subfolders.",
        };
        Option<string?> weights = ModelOptions.WeightsOrNone(
            "For a model folder: loads the model with its linear layers kept so, and shows what memory that takes and how far it is from the file.");
        Command command = new("inspect", "Shows what a safetensors file, a model or an adapter holds, and how far an adapter moves layers.")
        {
            path, weights,
        };
        command.SetAction((parsed, cancellationToken) =>
            Task.Run(() => Show(console, parsed.GetRequiredValue(path), parsed.GetValue(weights), cancellationToken), cancellationToken));
        return command;
    }

    /// <summary>Shows a file or a folder.</summary>
    /// <exception cref="InputException">There is no such thing, or the folder holds nothing to show.</exception>
    /// <exception cref="DeloraFormatException">A file is damaged or holds something else.</exception>
    internal static int Show(CliConsole console, string path, string? weights, CancellationToken cancellationToken)
    {
        if (path.Length == 0)
            throw new InputException("a file or a folder is wanted, not an empty name");
        bool isFolder = Directory.Exists(path);
        IReadOnlyList<string> adapters = isFolder ? AdaptersIn(path) : [];
        bool isModel = isFolder && !adapters.Contains(path) && Path.Exists(Path.Combine(path, ModelConfig.FileName));
        if (weights is not null && !isModel)
            throw new InputException($"{path}: --weights belongs to a model folder");
        if (!isFolder)
        {
            SafetensorsListing.Show(console, path);
            return ExitCode.Success;
        }

        if (isModel)
        {
            ModelListing.Show(console, path);
            if (weights is not null)
                FrozenListing.Show(console, path, ModelOptions.Frozen(weights));
            return ExitCode.Success;
        }

        if (adapters.Count == 0)
            throw NothingIn(path);
        foreach ((int number, string folder) in adapters.Index())
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (number > 0)
                console.Output.WriteLine();
            AdapterListing.Show(console, folder);
        }

        return ExitCode.Success;
    }

    /// <summary>The adapter in the folder itself, PEFT's <c>default</c>, then those in its subfolders.</summary>
    private static IReadOnlyList<string> AdaptersIn(string folder)
    {
        try
        {
            // A run's checkpoints are stages of the adapter beside them.
            string[] below = HasAdapter(folder)
                ? [folder, .. Directory.EnumerateDirectories(folder).Where(x => !TrainingCheckpoint.IsNameOf(Path.GetFileName(x)))]
                : [.. Directory.EnumerateDirectories(folder)];
            return [.. below.Where(HasAdapter).Order(StringComparer.Ordinal)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{folder}: cannot be read: {e.Message}", e);
        }
    }

    private static bool HasAdapter(string folder) => Path.Exists(Path.Combine(folder, AdapterConfig.FileName));

    private static InputException NothingIn(string folder)
    {
        string? weights = Directory.EnumerateFiles(folder, "*.safetensors").Order(StringComparer.Ordinal).FirstOrDefault();
        return new InputException(
            $"{folder}: there is no {ModelConfig.FileName} in it, and no {AdapterConfig.FileName} in it or in a subfolder"
            + (weights is null ? ", and no safetensors file" : $"; a single file can be named: {weights}"));
    }
}
