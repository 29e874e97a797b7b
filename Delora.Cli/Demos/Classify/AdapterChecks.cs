using System.Globalization;
using Delora.Core;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>Saves a trained adapter, loads it into a fresh copy of the base, merges and unmerges it, and compares at every turn.</summary>
internal static class AdapterChecks
{
    /// <summary>Runs the checks; the adapter folder stays.</summary>
    /// <param name="adapted">The network with its trained adapter.</param>
    /// <param name="basePath">The base network's file.</param>
    /// <param name="folder">Where the adapter is written.</param>
    /// <param name="data">Held-out texts of both kinds are compared.</param>
    /// <param name="cancellationToken">Asked between batches.</param>
    public static IReadOnlyList<DemoCheck> Run(
        AdaptedNetwork adapted, string basePath, string folder, SummaryData data, CancellationToken cancellationToken)
    {
        Device device = adapted.Network.Device;
        adapted.Peft!.Save(folder);
        using SummaryNetwork network = SummaryNetwork.Load(basePath, device);
        using PeftModel loaded = new(network);
        loaded.Load(folder);

        double[] Logits(SummaryNetwork of) =>
        [
            .. SummaryScores.Logits(of, data.NewHeldOut, cancellationToken),
            .. SummaryScores.Logits(of, data.OldHeldOut, cancellationToken),
        ];
        DemoCheck predictions = ComparePredictions(Logits(adapted.Network), Logits(network), device);

        Scores before = Scores.Of(network, data, cancellationToken);
        loaded.Merge();
        Scores merged = Scores.Of(network, data, cancellationToken);
        loaded.Unmerge();
        return [predictions, CompareLosses(before, merged), CompareWeights(network, basePath, device)];
    }

    private static DemoCheck ComparePredictions(double[] trained, double[] loaded, Device device)
    {
        // A file holds float32. Where the device computes with more, the loaded adapter is the trained one rounded.
        bool exact = device.FloatType == DType.Float32;
        int different = 0;
        double largest = 0;
        for (int i = 0; i < trained.Length; i++)
        {
            if (BitConverter.DoubleToInt64Bits(trained[i]) == BitConverter.DoubleToInt64Bits(loaded[i]))
                continue;
            different++;
            largest = Math.Max(largest, Math.Abs(trained[i] - loaded[i]));
        }

        bool passed = trained.Length == loaded.Length && (exact ? different == 0 : largest <= DemoChecks.MergeTolerance);
        string tolerance = exact ? "to the last bit" : $"to {DemoChecks.Tolerance}";
        return new DemoCheck(
            $"saved and loaded into a fresh copy of the base, the adapter predicts the same {tolerance}",
            passed,
            string.Create(CultureInfo.InvariantCulture, $"{different:N0} of {trained.Length:N0} scores differ, by {largest:G3} at most"));
    }

    private static DemoCheck CompareLosses(Scores before, Scores merged) =>
        DemoChecks.Merged(Math.Max(Math.Abs(before.Old.Loss - merged.Old.Loss), Math.Abs(before.New.Loss - merged.New.Loss)));

    private static DemoCheck CompareWeights(SummaryNetwork network, string basePath, Device device)
    {
        using SummaryNetwork original = SummaryNetwork.Load(basePath, device);
        long different = network.NamedState().Zip(original.NamedState()).Sum(pair => Different(pair.First.State, pair.Second.State));
        return new DemoCheck(
            "unmerged, the weights are the base's to the last bit",
            different == 0,
            string.Create(CultureInfo.InvariantCulture, $"{different:N0} of {network.Size:N0} weights differ"));
    }

    private static long Different(ModuleState a, ModuleState b)
    {
        using Tensor x = a.Read(), y = b.Read();
        return x.ToArray<double>().Zip(y.ToArray<double>())
            .LongCount(pair => BitConverter.DoubleToInt64Bits(pair.First) != BitConverter.DoubleToInt64Bits(pair.Second));
    }
}
