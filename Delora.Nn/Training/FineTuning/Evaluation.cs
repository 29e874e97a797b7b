using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>How well a language model predicts a text.</summary>
/// <param name="Loss">Mean cross-entropy of a token, in nats.</param>
/// <param name="Tokens">Tokens that were predicted.</param>
public readonly record struct Evaluation(double Loss, long Tokens)
{
    /// <summary>e^loss: among how many equally likely tokens the model is as uncertain.</summary>
    public double Perplexity => Math.Exp(Loss);

    /// <summary>Evaluates a model on all rows: the mean over tokens, whatever the batches. The model's mode is put back afterwards.</summary>
    /// <param name="model">The model, with its active adapters.</param>
    /// <param name="rows">The text.</param>
    /// <param name="batchSize">Rows that are computed at once.</param>
    /// <param name="cancellation">Ends the evaluation between two batches.</param>
    public static Evaluation Of(CausalLanguageModel model, TokenRows rows, int batchSize, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        return Of(model, rows, Enumerable.Range(0, rows.Count).Chunk(batchSize), cancellation);
    }

    /// <summary>The same over given batches of rows.</summary>
    internal static Evaluation Of(CausalLanguageModel model, TokenRows rows, IEnumerable<int[]> batches, CancellationToken cancellation)
    {
        bool training = model.IsTraining;
        model.Train(false);
        try
        {
            double sum = 0;
            long tokens = 0;
            foreach (int[] batch in batches)
            {
                cancellation.ThrowIfCancellationRequested();
                (int[] Inputs, int[] Targets) taken = rows.Take(batch);
                int count = taken.Targets.Count(target => target != CrossEntropyKernel.IgnoreIndex);
                if (count == 0) continue;
                using IDisposable pause = Tape.Pause();
                sum += model.Loss(taken, rows.Length).ToScalar() * count;
                tokens += count;
            }
            return new Evaluation(sum / tokens, tokens);
        }
        finally
        {
            model.Train(training);
        }
    }
}
