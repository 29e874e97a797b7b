using System.CommandLine;
using System.Globalization;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Cli;

/// <summary><c>delora eval</c>: how well a model predicts a text, without and with an adapter.</summary>
internal static class EvalCommand
{
    public static Command Create(CliConsole console)
    {
        Option<string?> model = ModelOptions.Model(), data = ModelOptions.Data(), adapter = ModelOptions.Adapter();
        Option<int?> length = ModelOptions.Length();
        Option<int> batch = ModelOptions.Batch();
        Option<string> weights = ModelOptions.Weights(), device = ValueOptions.Device();
        Command command = new("eval", "Shows how well a model predicts a text, and how well with an adapter.")
        {
            model, data, adapter, weights, length, batch, device,
        };
        command.SetAction((parsed, stop) => Task.Run(
            () =>
            {
                ModelFolder folder = ModelFolder.Open(console, parsed.GetRequiredValue(model)!);
                string file = parsed.GetRequiredValue(data)!;
                TokenRows rows = folder.Rows(file, folder.LengthOf(parsed.GetValue(length)));
                return Run(
                    console, folder, (file, rows), parsed.GetValue(adapter), parsed.GetRequiredValue(batch),
                    parsed.GetRequiredValue(device), ModelOptions.Frozen(parsed.GetRequiredValue(weights)), stop);
            },
            stop));
        return command;
    }

    private static int Run(
        CliConsole console, ModelFolder folder, (string File, TokenRows Rows) data, string? adapter, int batch, string device,
        FrozenWeightOptions frozen, CancellationToken stop)
    {
        using CausalLanguageModel model = folder.Load(SelectedDevice.Open(device), frozen);
        console.Output.WriteLine($"Model: {folder.Path}, {folder.Description}");
        console.Output.WriteLine($"Device: {model.Device.Name}");
        console.Output.WriteLine($"Weights: {ModelFolder.Describe(FrozenWeightReport.Of(model))}");
        console.Output.WriteLine($"Data: {ModelFolder.Describe(data.File, data.Rows)}");
        Show("base");
        if (adapter is null)
            return ExitCode.Success;
        using PeftModel peft = folder.Adapt(model, adapter);
        Show("with the adapter");
        return ExitCode.Success;

        void Show(string name)
        {
            long start = console.Time.GetTimestamp();
            Evaluation evaluation = Evaluation.Of(model, data.Rows, batch, stop);
            double seconds = Math.Max(console.Time.GetElapsedTime(start).TotalSeconds, 1e-6);
            console.Output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{name}: {Text(evaluation)}, {evaluation.Tokens:N0} tokens, {evaluation.Tokens / seconds:N0} tokens/s"));
        }
    }

    /// <summary>An evaluation in words.</summary>
    internal static string Text(Evaluation evaluation) => string.Create(
        CultureInfo.InvariantCulture, $"loss {evaluation.Loss:F4}, perplexity {evaluation.Perplexity:N3}");
}
