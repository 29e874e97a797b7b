using System.CommandLine;

namespace Delora.Cli;

/// <summary><c>delora merge</c>: a model with an adapter's ΔW in its weights, as a folder of its own.</summary>
internal static class MergeCommand
{
    public static Command Create(CliConsole console)
    {
        Option<string?> model = ModelOptions.Model();
        Option<string?> adapter = ValueOptions.RequiredPath("--adapter", "FOLDER", "The adapter to merge, DeLoRA or LoRA.");
        Option<string?> output = ValueOptions.RequiredPath(
            "--out", "FOLDER", "Where the merged model is written: a new or empty folder, or one that this command has written before.");
        Option<string> device = ValueOptions.Device();
        Command command = new("merge", "Adds an adapter to a model's weights, and writes the result as a model folder (float32).")
        {
            model, adapter, output, device,
        };
        command.SetAction((parsed, stop) => Task.Run(
            () => MergedFolder.Write(
                console, parsed.GetRequiredValue(model)!, parsed.GetRequiredValue(adapter)!, parsed.GetRequiredValue(output)!,
                parsed.GetRequiredValue(device), stop),
            stop));
        return command;
    }
}
