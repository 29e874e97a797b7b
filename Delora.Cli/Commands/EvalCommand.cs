using System.CommandLine;
using System.Globalization;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Cli;

/// <summary><c>delora eval</c>: how well a model predicts a text or labels texts, without and with an adapter.</summary>
internal static class EvalCommand
{
    public static Command Create(CliConsole console)
    {
        Option<string?> model = ModelOptions.Model(), data = ModelOptions.Data();
        Option<string[]> adapters = ModelOptions.Adapters();
        Option<int?> length = ModelOptions.Length();
        Option<int> batch = ModelOptions.Batch();
        Option<bool> special = ModelOptions.SpecialTokens("a language model's text");
        Option<string> weights = ModelOptions.Weights(), device = ValueOptions.Device();
        Option<MatMulPrecision> precision = ValueOptions.Precision();
        Command command = new("eval", "Shows how well a model predicts a text, or a classifier labels texts or words, and how well with an adapter.")
        {
            model, data, adapters, weights, length, batch, special, device, precision,
        };
        command.SetAction((parsed, stop) => Task.Run(
            () =>
            {
                ModelFolder folder = ModelFolder.Open(console, parsed.GetRequiredValue(model)!);
                ModelOptions.CheckSpecialTokens(folder, parsed.GetValue(special));
                if (folder.Config is EncoderConfig)
                    folder.RequireClassifier();
                Request request = new(
                    console, folder, parsed.GetRequiredValue(data)!, folder.LengthOf(parsed.GetValue(length)), parsed.GetValue(adapters) ?? [],
                    parsed.GetRequiredValue(batch), parsed.GetValue(special), parsed.GetRequiredValue(device), parsed.GetValue(precision),
                    ModelOptions.Frozen(parsed.GetRequiredValue(weights)), stop);
                return folder.LabelsTokens ? LabelWords(request) : folder.Config is EncoderConfig ? LabelTexts(request) : PredictText(request);
            },
            stop));
        return command;
    }

    private static int PredictText(Request request)
    {
        TokenRows rows = request.Folder.Rows(request.File, request.Length, request.SpecialTokens);
        using CausalLanguageModel model = request.Folder.Load(SelectedDevice.Open(request.Device, request.Precision), request.Frozen);
        return Run(request, model, ModelFolder.Describe(request.File, rows), () =>
        {
            Evaluation evaluation = Evaluation.Of(model, rows, request.Batch, request.Stop);
            return (Text(evaluation), evaluation.Loss, evaluation.Tokens, "tokens");
        });
    }

    private static int LabelTexts(Request request)
    {
        ClassificationRows rows = request.Folder.LabelledRows(request.File, request.Length);
        using EncoderModel model = request.Folder.LoadClassifier(SelectedDevice.Open(request.Device, request.Precision), request.Frozen);
        return Run(request, model, ModelFolder.Describe(request.File, rows), () =>
        {
            ClassificationEvaluation evaluation = ClassificationEvaluation.Of((SequenceClassifier)model, rows, request.Batch, request.Stop);
            return (Text(evaluation), evaluation.Loss, evaluation.Texts, "texts");
        });
    }

    private static int LabelWords(Request request)
    {
        TokenClassificationRows rows = request.Folder.LabelledWords(request.File, request.Length);
        using EncoderModel model = request.Folder.LoadClassifier(SelectedDevice.Open(request.Device, request.Precision), request.Frozen);
        return Run(request, model, ModelFolder.Describe(request.File, rows), () =>
        {
            TokenClassificationEvaluation evaluation = TokenClassificationEvaluation.Of((TokenClassifier)model, rows, request.Batch, request.Stop);
            return (Text(evaluation), evaluation.Loss, evaluation.Words, "words");
        });
    }

    private static int Run(Request request, PretrainedModel model, string data, Func<(string Text, double Loss, long Count, string Unit)> evaluate)
    {
        CliConsole console = request.Console;
        console.Output.WriteLine($"Model: {request.Folder.Path}, {request.Folder.Description}");
        console.Output.WriteLine($"Device: {model.Device.Name}");
        console.Output.WriteLine($"Weights: {ModelFolder.Describe(FrozenWeightReport.Of(model))}");
        console.Output.WriteLine($"Data: {data}");
        if (request.Adapters.Length == 0)
        {
            Show("base");
            return ExitCode.Success;
        }

        // Biases that an adapter trained stay when it is disabled, as in PEFT; else a wrong adapter is said before the base is evaluated.
        bool leavesBiases = request.Adapters.Any(
            adapter => AdapterConfig.Load(Path.Combine(adapter, AdapterConfig.FileName)).Bias != AdapterBias.None);
        if (leavesBiases)
            Show("base");
        using PeftModel peft = request.Folder.Adapt(model, request.Adapters);
        if (!leavesBiases)
        {
            using (peft.Disable())
                Show("base");
        }

        Show(request.Adapters.Length == 1 ? "with the adapter" : "with the adapters");
        return ExitCode.Success;

        void Show(string name)
        {
            long start = console.Time.GetTimestamp();
            (string text, double loss, long count, string unit) = evaluate();
            double seconds = Math.Max(console.Time.GetElapsedTime(start).TotalSeconds, 1e-6);
            console.Output.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{name}: {text}, {count:N0} {unit}, {count / seconds:N0} {unit}/s"));
            if (!double.IsFinite(loss))
                throw new NonFiniteException(string.Create(CultureInfo.InvariantCulture, $"{name}: the loss is {loss}: the model computes no numbers"));
        }
    }

    /// <summary>An evaluation in words.</summary>
    internal static string Text(Evaluation evaluation) => string.Create(
        CultureInfo.InvariantCulture, $"loss {evaluation.Loss:F4}, perplexity {evaluation.Perplexity:N3}");

    /// <summary>An evaluation in words.</summary>
    internal static string Text(ClassificationEvaluation evaluation) => evaluation is { Accuracy: { } accuracy, MacroF1: { } f1 }
        ? string.Create(CultureInfo.InvariantCulture, $"loss {evaluation.Loss:F4}, accuracy {100 * accuracy:F2} %, macro F1 {f1:F4}")
        : string.Create(CultureInfo.InvariantCulture, $"mean squared error {evaluation.Loss:G5}");

    /// <summary>An evaluation in words.</summary>
    internal static string Text(TokenClassificationEvaluation evaluation)
    {
        string words = string.Create(
            CultureInfo.InvariantCulture,
            $"loss {evaluation.Loss:F4}, accuracy {100 * evaluation.Accuracy:F2} % of words, macro F1 {evaluation.MacroF1:F4} over words");
        return evaluation.Entities is { } entities
            ? string.Create(
                CultureInfo.InvariantCulture,
                $"{words}, F1 {entities.F1:F4} over entities (precision {entities.Precision:F4}, recall {entities.Recall:F4})")
            : words;
    }

    private sealed record Request(
        CliConsole Console, ModelFolder Folder, string File, int Length, string[] Adapters, int Batch, bool SpecialTokens, string Device, MatMulPrecision Precision,
        FrozenWeightOptions Frozen, CancellationToken Stop);
}
