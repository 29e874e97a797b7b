using System.CommandLine;
using System.CommandLine.Parsing;

namespace Delora.Cli;

/// <summary><c>delora demo</c> and <c>delora demo classify</c>.</summary>
internal static class DemoCommand
{
    public const ulong DefaultSeed = 1;
    public const int DefaultSeeds = 3, DefaultRank = 4, ClassifyRank = 8;
    public const double DefaultLambda = 4, DefaultLearningRate = 6e-2, ClassifyLambda = 4, ClassifyLearningRate = 3e-3;
    public const string DefaultOut = "delora-demo";

    /// <param name="language">Runs <c>demo</c> and returns its exit code.</param>
    /// <param name="classify">Runs <c>demo classify</c> and returns its exit code.</param>
    public static Command Create(
        Func<LanguageOptions, CancellationToken, Task<int>> language, Func<ClassifyOptions, CancellationToken, Task<int>> classify)
    {
        SharedOptions shared = new(DefaultRank, DefaultLambda, DefaultLearningRate);
        Option<string?> text = ValueOptions.PathTo(
            "--text", "FILE", "A text to train on, not the .NET SDK's documentation: base on the first half, adapters on the second.",
            null);
        Option<int> seeds = ValueOptions.Count("--seeds", "Adaptations of each method.", DefaultSeeds, least: 1, most: 100);
        Option<bool> retrain = new("--retrain") { Description = "Trains the base anew, even where an earlier run kept one." };
        Command command = new(
            "demo", "Trains a small language model and adapts it to text that it has not seen, with DeLoRA beside LoRA: needs no download.")
        {
            text, seeds, retrain, Classify(classify),
        };
        shared.AddTo(command);
        command.SetAction((parsed, cancellationToken) => language(
            new LanguageOptions
            {
                Device = parsed.GetRequiredValue(shared.Device),
                Seed = parsed.GetRequiredValue(shared.Seed),
                Seeds = parsed.GetRequiredValue(seeds),
                Out = Path.GetFullPath(parsed.GetRequiredValue(shared.Out)!),
                TextFile = parsed.GetValue(text),
                Rank = parsed.GetRequiredValue(shared.Rank),
                Lambda = parsed.GetRequiredValue(shared.Lambda),
                LearningRate = parsed.GetRequiredValue(shared.LearningRate),
                Quick = parsed.GetValue(shared.Quick),
                Retrain = parsed.GetValue(retrain),
            },
            cancellationToken));
        return command;
    }

    private static Command Classify(Func<ClassifyOptions, CancellationToken, Task<int>> run)
    {
        SharedOptions shared = new(ClassifyRank, ClassifyLambda, ClassifyLearningRate);
        Option<string?> text = ValueOptions.PathTo(
            "--text-folder", "FOLDER", "XML documentation files to train on, instead of those of the .NET SDK.", null);
        Command command = new(
            "classify", "Teaches a text classifier families of summaries that it has not seen: DeLoRA beside LoRA and full fine-tuning.")
        {
            text,
        };
        shared.AddTo(command);
        command.Validators.Add(RefuseOptionsBefore);
        command.SetAction((parsed, cancellationToken) => run(
            new ClassifyOptions
            {
                Device = parsed.GetRequiredValue(shared.Device),
                Seed = parsed.GetRequiredValue(shared.Seed),
                Out = Path.GetFullPath(parsed.GetRequiredValue(shared.Out)!),
                TextFolder = parsed.GetValue(text),
                Rank = parsed.GetRequiredValue(shared.Rank),
                Lambda = parsed.GetRequiredValue(shared.Lambda),
                LearningRate = parsed.GetRequiredValue(shared.LearningRate),
                Quick = parsed.GetValue(shared.Quick),
            },
            cancellationToken));
        return command;
    }

    /// <summary>An option before the subcommand belongs to <c>demo</c>: it would do nothing, and nobody would be told.</summary>
    private static void RefuseOptionsBefore(CommandResult classify)
    {
        OptionResult? before = (classify.Parent as CommandResult)?.Children.OfType<OptionResult>().FirstOrDefault(x => !x.Implicit);
        if (before is not null)
            classify.AddError($"{before.Option.Name} stands before 'classify': options of a command come after it");
    }

    /// <summary>The options that both demos have.</summary>
    private sealed class SharedOptions(int rank, double lambda, double learningRate)
    {
        public Option<string> Device { get; } = ValueOptions.Device();

        public Option<ulong> Seed { get; } = ValueOptions.Seed(DefaultSeed);

        public Option<string?> Out { get; } =
            ValueOptions.PathTo("--out", "FOLDER", "Where models, adapters and report are written.", DefaultOut);

        public Option<int> Rank { get; } = ValueOptions.Count("--rank", "Rank of the adapters.", rank, least: 1, most: 64);

        public Option<double> Lambda { get; } = ValueOptions.Positive("--lambda", "DeLoRA's strength λ at the start.", lambda);

        public Option<double> LearningRate { get; } =
            ValueOptions.Positive("--lr", "Learning rate of the DeLoRA adapter.", learningRate);

        public Option<bool> Quick { get; } =
            new("--quick") { Description = "Fewer steps and one seed: shows that it works, not how well." };

        public void AddTo(Command command)
        {
            foreach (Option option in (Option[])[Device, Seed, Out, Rank, Lambda, LearningRate, Quick])
                command.Add(option);
        }
    }
}
