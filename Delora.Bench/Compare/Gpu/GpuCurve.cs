using System.Globalization;
using System.Text.Json;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Bench.Compare.Gpu;

/// <summary>
/// The loss curve of a fine-tuning. The base model (bfloat16), the adapter and all batches are written first, so that a peer trains from the same start on
/// the same tokens; then Delora trains, multiplying in bfloat16 where the device can. What counts as noise is how far the peer's own curves, in bfloat16 and float32, lie apart.
/// </summary>
internal static class GpuCurve
{
    private const string OwnFile = "delora.json", PeerFile = "peer-bfloat16.json", PreciseFile = "peer-float32.json";
    private const int Steps = 200, RehearsedSteps = 6;

    internal static int Run(string folder, Device device, bool rehearse)
    {
        ModelShape shape = rehearse ? GpuModels.Get("rehearsal, bf16") : GpuModels.Get("llama-135m, bf16") with { Batch = 4, Length = 256 };
        int[][] batches = [.. Enumerable.Range(0, rehearse ? RehearsedSteps : Steps).Select(step => Batch(shape, step))];
        using var precision = new PrecisionScope(device, MatMulPrecision.BFloat16);
        using PeftModel peft = OwnStep.Llama(shape, device, GpuStep.StorageOf(shape), out LlamaForCausalLM model);
        using LlamaForCausalLM owned = model;
        model.Save(Path.Combine(folder, "base"), DType.BFloat16);
        peft.Save(Path.Combine(folder, "adapter"));
        File.WriteAllText(Path.Combine(folder, "batches.json"), JsonSerializer.Serialize(new
        {
            batch = shape.Batch,
            length = shape.Length + 1,
            lr = ModelShape.LearningRate,
            weight_decay = ModelShape.WeightDecay,
            tokens = batches,
        }));
        using var optimizer = new AdamW(
            peft.TrainableParameters().Select(entry => entry.Parameter), ModelShape.LearningRate, weightDecay: ModelShape.WeightDecay);
        var losses = new LossList();
        Trainer<TokenBatch> trainer = TokenBatch.Trainer(optimizer, (ids, targets) => model.Loss(ids, targets), device);
        trainer.Run(
            batches.Select(tokens => TokenBatch.Of(tokens, shape.Batch, shape.Length)), new TrainerOptions { Steps = batches.Length }, losses);
        File.WriteAllText(Path.Combine(folder, OwnFile), JsonSerializer.Serialize(losses));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"loss {losses[0]:F4} → {losses[^1]:F4} in {losses.Count} steps, products in {precision.Current.Name}; {folder}"));
        // Where the loss does not fall a comparison says nothing.
        return losses[^1] < losses[0] ? 0 : 1;
    }

    /// <summary>The mean distance of the smoothed curves, beside that of the peer's own two.</summary>
    internal static IEnumerable<CompareRow> Compare(string folder)
    {
        if (Read(OwnFile) is not { } own || Read(PeerFile) is not { } peer || Read(PreciseFile) is not { } precise) yield break;
        if (own.Length != peer.Length || own.Length != precise.Length)
            throw new FormatException($"{folder}: the curves have {own.Length}, {peer.Length} and {precise.Length} steps");
        double ours = Distance(own, peer), noise = Distance(precise, peer);
        yield return new("loss curve, distance from PEFT's in bf16; that of PEFT's in float32", $"{own.Length} steps", 0, "curve",
            ours, noise, "nats", ours / Math.Max(noise, 1e-12));

        double[]? Read(string name) =>
            File.Exists(Path.Combine(folder, name)) ? JsonSerializer.Deserialize<double[]>(File.ReadAllText(Path.Combine(folder, name))) : null;
    }

    internal static double Distance(double[] a, double[] b)
    {
        const int Window = 10;
        int window = Math.Min(Window, a.Length);
        return Enumerable.Range(0, a.Length - window + 1)
            .Average(at => Math.Abs(a.AsSpan(at, window).ToArray().Average() - b.AsSpan(at, window).ToArray().Average()));
    }

    /// <summary>
    /// Sequences that can be learnt in part: of a few hundred tokens each has one that mostly follows it. [batch, length + 1], one row behind the other.
    /// </summary>
    private static int[] Batch(ModelShape shape, int step)
    {
        const double Follows = 0.8;
        ulong used = (ulong)Math.Min(shape.Vocabulary, 512);
        int width = shape.Length + 1;
        var tokens = new int[shape.Batch * width];
        for (int i = 0; i < tokens.Length; i++)
        {
            ulong random = Numbers.Hash((ulong)(step * tokens.Length + i));
            bool follow = i % width != 0 && random / (double)ulong.MaxValue < Follows;
            tokens[i] = (int)(Numbers.Hash(follow ? (ulong)tokens[i - 1] << 32 : random) % used);
        }
        return tokens;
    }
}
