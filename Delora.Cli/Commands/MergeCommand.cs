using System.CommandLine;
using Delora.Core;
using Delora.Nn;

namespace Delora.Cli;

/// <summary><c>delora merge</c>: a model with an adapter's ΔW in its weights, as a folder of its own.</summary>
internal static class MergeCommand
{
    private static readonly DType[] s_types = [DType.Float32, DType.BFloat16, DType.Float16];

    public static Command Create(CliConsole console)
    {
        Option<string?> model = ModelOptions.Model();
        Option<string[]> adapters = ValueOptions.Paths(
            "--adapter", "FOLDER", "The adapter to merge, DeLoRA or LoRA; given several times, the sum of all, each trained on the model itself.");
        adapters.Required = true;
        adapters.DefaultValueFactory = null;
        Option<string?> output = ValueOptions.RequiredPath(
            "--out", "FOLDER", "Where the merged model is written: a new or empty folder, or one that this command has written before.");
        Option<string> saveAs = ValueOptions.Choice(
            "--save-as", "The type of the merged weights in the files. They are added in float32 and rounded once.", DType.Float32.Name,
            [.. s_types.Select(type => type.Name)]);
        Option<long?> shard = ModelOptions.MaxShardSize();
        Option<string> device = ValueOptions.Device();
        Command command = new("merge", "Adds an adapter to a model's weights, and writes the result as a model folder.")
        {
            model, adapters, output, saveAs, shard, device,
        };
        command.SetAction((parsed, stop) => Task.Run(
            () => MergedFolder.Write(
                console,
                new MergedFolder.Request(
                    parsed.GetRequiredValue(model)!, parsed.GetRequiredValue(adapters), parsed.GetRequiredValue(output)!,
                    s_types.Single(type => type.Name == parsed.GetRequiredValue(saveAs)),
                    parsed.GetValue(shard) ?? PretrainedModel.DefaultMaxShardBytes, parsed.GetRequiredValue(device)),
                stop),
            stop));
        return command;
    }
}
