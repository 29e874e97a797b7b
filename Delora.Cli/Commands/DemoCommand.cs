using System.CommandLine;

namespace Delora.Cli;

/// <summary><c>delora demo …</c></summary>
internal static class DemoCommand
{
    public const ulong DefaultSeed = 1;
    public const int DefaultRank = 8;
    public const double DefaultLambda = 4, DefaultLearningRate = 3e-3;
    public const string DefaultOut = "delora-demo";

    /// <param name="classify">Runs <c>demo classify</c> and returns its exit code.</param>
    public static Command Create(Func<ClassifyOptions, CancellationToken, Task<int>> classify) =>
        new("demo", "Trains on real input that needs no download.") { Classify(classify) };

    private static Command Classify(Func<ClassifyOptions, CancellationToken, Task<int>> run)
    {
        Option<string> device = ValueOptions.Device();
        Option<ulong> seed = ValueOptions.Seed(DefaultSeed);
        Option<string?> output = ValueOptions.PathTo("--out", "FOLDER", "Where report and adapter are written.", DefaultOut);
        Option<string?> text = ValueOptions.PathTo(
            "--text-folder", "FOLDER", "XML documentation files to train on, instead of those of the .NET SDK.", null);
        Option<int> rank = ValueOptions.Count("--rank", "Rank of the adapters.", DefaultRank, least: 1, most: 64);
        Option<double> lambda = ValueOptions.Positive("--lambda", "DeLoRA's strength λ at the start.", DefaultLambda);
        Option<double> learningRate = ValueOptions.Positive("--lr", "Learning rate of the DeLoRA adapter.", DefaultLearningRate);
        Option<bool> quick = new("--quick") { Description = "Fewer steps and one seed: shows that it works, not how well." };
        Command command = new(
            "classify", "Teaches a text classifier families of summaries that it has not seen: DeLoRA beside LoRA and full fine-tuning.")
        {
            device, seed, output, text, rank, lambda, learningRate, quick,
        };
        command.SetAction((parsed, cancellationToken) => run(
            new ClassifyOptions
            {
                Device = parsed.GetRequiredValue(device),
                Seed = parsed.GetRequiredValue(seed),
                Out = Path.GetFullPath(parsed.GetRequiredValue(output)!),
                TextFolder = parsed.GetValue(text),
                Rank = parsed.GetRequiredValue(rank),
                Lambda = parsed.GetRequiredValue(lambda),
                LearningRate = parsed.GetRequiredValue(learningRate),
                Quick = parsed.GetValue(quick),
            },
            cancellationToken));
        return command;
    }
}
