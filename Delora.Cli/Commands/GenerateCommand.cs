using System.CommandLine;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Cli;

/// <summary><c>delora generate</c>: continues a prompt, and writes the text as it comes.</summary>
internal static class GenerateCommand
{
    private const double DefaultTemperature = 0.8;

    public static Command Create(CliConsole console)
    {
        Option<string?> model = ModelOptions.Model();
        Option<string[]> adapters = ModelOptions.Adapters();
        Option<string?> prompt = new("--prompt")
        {
            Description = "The text to continue. \"\" lets the model begin, where it has a begin token.",
            HelpName = "TEXT",
        };
        Option<string?> promptFile = ValueOptions.PathAsGiven(
            "--prompt-file", "FILE", "The text to continue, in UTF-8; a line break at its very end is left out.");
        Option<bool> echo = new("--echo") { Description = "Write the prompt in front; else what is written is the continuation alone." };
        Option<bool> special = ModelOptions.SpecialTokens("the prompt");
        Option<int> most = ValueOptions.Count("--max-tokens", "The most tokens to generate.", 256);
        Option<double?> temperature = ValueOptions.NotNegativeOrNone(
            "--temperature",
            FormattableString.Invariant($"Below 1 the text is more predictable, above 1 less; 0 is --greedy. [default: {DefaultTemperature}]"));
        Option<int?> topK = ValueOptions.CountOrNone("--top-k", "Choose among the N most likely tokens only. [default: all]");
        Option<double?> topP = ValueOptions.ProbabilityOrNone(
            "--top-p", "Choose among the most likely tokens that have this probability together. [default: all]");
        Option<bool> greedy = new("--greedy") { Description = "Always take the most likely token." };
        Option<ulong> seed = ValueOptions.Seed(0);
        Option<string> weights = ModelOptions.Weights(), device = ValueOptions.Device();
        Option<MatMulPrecision> precision = ValueOptions.Precision();
        Option<bool> verbose = new("--verbose", "-v") { Description = "Tell on standard error how fast it went." };
        Command command = new("generate", "Continues a text with a model, and an adapter where one is named.")
        {
            model, adapters, prompt, promptFile, echo, special, most, temperature, topK, topP, greedy, seed, weights, device, precision, verbose,
        };
        command.SetAction((parsed, stop) => Task.Run(
            () =>
            {
                bool free = parsed.GetValue(temperature) is not null || parsed.GetValue(topK) is not null || parsed.GetValue(topP) is not null;
                if (parsed.GetValue(greedy) && free)
                    throw new InputException("--greedy leaves no choice: --temperature, --top-k and --top-p cannot be given with it");
                return TextSession.RunAsync(
                    console,
                    new TextSession.Request
                    {
                        Model = parsed.GetRequiredValue(model)!,
                        Adapters = parsed.GetValue(adapters) ?? [],
                        Prompt = Prompt(parsed.GetValue(prompt), parsed.GetValue(promptFile)),
                        Echo = parsed.GetValue(echo),
                        Device = parsed.GetRequiredValue(device),
                        Precision = parsed.GetValue(precision),
                        Frozen = ModelOptions.Frozen(parsed.GetRequiredValue(weights)),
                        Verbose = parsed.GetValue(verbose),
                        Generation = new GenerationOptions
                        {
                            MaxNewTokens = parsed.GetRequiredValue(most),
                            Seed = parsed.GetRequiredValue(seed),
                            ParseSpecial = parsed.GetValue(special),
                            Sampling = parsed.GetValue(greedy)
                                ? SamplingOptions.Greedy
                                : new SamplingOptions
                                {
                                    Temperature = parsed.GetValue(temperature) ?? DefaultTemperature,
                                    TopK = parsed.GetValue(topK) ?? 0,
                                    TopP = parsed.GetValue(topP) ?? 1,
                                },
                        },
                    },
                    stop);
            },
            stop));
        return command;
    }

    private static string Prompt(string? text, string? file)
    {
        if (text is null == file is null)
            throw new InputException("either --prompt or --prompt-file is wanted");
        return text ?? PromptFile.Read(file!);
    }
}
