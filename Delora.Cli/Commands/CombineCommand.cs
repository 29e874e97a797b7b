using System.CommandLine;
using System.Globalization;
using Delora.Nn;

namespace Delora.Cli;

/// <summary><c>delora combine</c>: a weighted sum of adapters.</summary>
internal static class CombineCommand
{
    public static Command Create(CliConsole console)
    {
        Argument<string[]> adapters = new("adapters")
        {
            Description = "Folders of adapters of one base model, DeLoRA and LoRA mixed as you like. The base model is not needed.",
            Arity = ArgumentArity.OneOrMore,
        };
        Option<double[]?> weights = ValueOptions.Numbers(
            "--weights", "The adapters' weights in their order, with commas between: 0.7,-0.3. [default: 1 each]");
        Option<string?> output = ValueOptions.RequiredPath("--out", "FOLDER", "Where the sum is written: a folder without an adapter.");
        RankOptions rank = new();
        Command command = new(
            "combine",
            "Adds adapters with weights, and writes the sum of their updates as one LoRA adapter. Exact, with the sum of the ranks (PEFT's cat), or cut "
            + "to a rank (PEFT's svd).")
        {
            adapters, weights, output,
        };
        rank.AddTo(command);
        command.SetAction((parsed, stop) => Task.Run(
            () =>
            {
                string[] folders = parsed.GetRequiredValue(adapters);
                // An absent list is an empty one.
                double[] factors = parsed.GetValue(weights) is { Length: > 0 } given ? given : [.. folders.Select(_ => 1.0)];
                if (factors.Length != folders.Length)
                    throw new InputException(string.Create(
                        CultureInfo.InvariantCulture, $"--weights has {factors.Length} numbers for {folders.Length} adapters; one each is wanted"));
                return ConvertedFolder.Write(console, [.. folders.Zip(factors)], parsed.GetRequiredValue(output)!, rank.Read(parsed), stop);
            },
            stop));
        return command;
    }
}
