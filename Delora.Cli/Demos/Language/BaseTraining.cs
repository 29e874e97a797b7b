using Delora.Autograd;
using Delora.Core;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>Trains the base model from nothing: tokenizer, then weights.</summary>
internal sealed class BaseTraining(
    CliConsole console, LanguageSettings settings, ulong seed, Device device, CancellationToken cancellationToken)
{
    /// <summary>Trains on the old kind of text and keeps the result.</summary>
    /// <param name="corpus">The text.</param>
    /// <param name="kept">Where to keep the base.</param>
    /// <param name="recipe">What it comes from.</param>
    /// <exception cref="OperationCanceledException">The run was interrupted; what was kept before is as it was.</exception>
    public BaseRecord Run(LanguageCorpus corpus, KeptBase kept, string recipe)
    {
        long start = console.Time.GetTimestamp();
        TextTokenizer tokenizer = BpeTrainer.Train(corpus.OldTraining.Select(x => x.Text), settings.VocabularySize);
        cancellationToken.ThrowIfCancellationRequested();
        TokenBlocks rows = LanguageData.Rows(corpus.OldTraining, tokenizer, settings.Context);
        double each = (double)LanguageCorpus.Size(corpus.OldTraining) / rows.TokenCount;
        DemoOutput.Line(
            console, $"Tokenizer: {tokenizer.Description}; {rows.TokenCount:N0} tokens of the old kind, {each:F2} characters each");
        using LlamaForCausalLM model = LlamaForCausalLM.Create(
            settings.Model(tokenizer), device, new Generator(DemoOutput.Key(seed, "base weights")));
        RunRecorder<LanguageScores> recorder;
        using (ProgressPhase phase = new(console, "Base", settings.BaseSteps, "tokens"))
        {
            recorder = new RunRecorder<LanguageScores>(phase);
            Train(model, rows, recorder);
        }

        return kept.Save(model, tokenizer, files => new BaseRecord
        {
            Recipe = recipe,
            Files = files,
            Steps = settings.BaseSteps,
            Seconds = console.Time.GetElapsedTime(start).TotalSeconds,
            Losses = [.. ChartSeries.Smooth(recorder.Losses, DemoReport.LossPoints).Select(x => (double[])[x.X, x.Y])],
        });
    }

    private void Train(LlamaForCausalLM model, TokenBlocks rows, RunRecorder<LanguageScores> recorder)
    {
        using AdamW optimizer = new(
            model.NamedParameters().Select(x => x.Parameter).Distinct(), settings.BaseLearningRate, weightDecay: 0);
        Trainer<(int[] Inputs, int[] Targets)> trainer = new(
            optimizer, batch => model.Loss(batch, rows.Length), batch => batch.Inputs.Length)
        {
            Callbacks = { recorder },
        };
        ShuffledBatches order = new(rows.Count, settings.BatchSize, DemoOutput.Key(seed, "base batches"));
        model.Train();
        trainer.Run(
            _ => rows.Take(order.Next()),
            new TrainerOptions
            {
                Steps = settings.BaseSteps,
                Schedule = LearningRateSchedule.Cosine(settings.BaseSteps, (int)(settings.BaseSteps * settings.WarmupShare)),
                MaxGradientNorm = settings.MaxGradientNorm,
            },
            cancellation: cancellationToken);
        model.Train(false);
    }
}
