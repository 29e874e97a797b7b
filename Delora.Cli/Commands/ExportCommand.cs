using System.CommandLine;
using Delora.Nn;

namespace Delora.Cli;

/// <summary><c>delora export lora</c>: an adapter in the form that everything serves.</summary>
internal static class ExportCommand
{
    public static Command Create(CliConsole console)
    {
        Argument<string> adapter = new("adapter") { Description = "The folder of the adapter, DeLoRA or LoRA. Its base model is not needed." };
        Argument<string> output = new("out") { Description = "Where the LoRA adapter is written: a folder without an adapter." };
        RankOptions rank = new();
        Command lora = new(
            "lora",
            "Writes an adapter as PEFT's LoRA, which computes the same function: DeLoRA's update is a product of rank r, so that nothing is lost unless "
            + "a smaller rank is asked for.")
        {
            adapter, output,
        };
        rank.AddTo(lora);
        lora.SetAction((parsed, stop) => Task.Run(
            () =>
            {
                string from = parsed.GetRequiredValue(adapter), to = parsed.GetRequiredValue(output);
                RankChoice choice = rank.Read(parsed);
                return ConvertedFolder.Write(console, [(from, 1)], to, choice, stop);
            },
            stop));
        return new Command("export", "Writes an adapter in another form.") { lora };
    }
}
