using System.Globalization;
using Delora.Core;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>Saves a trained adapter, loads base and adapter from their folders, merges and unmerges, and compares at every turn.</summary>
internal static class LanguageChecks
{
    /// <summary>Runs the checks; the adapter folder stays.</summary>
    /// <param name="peft">The trained adapter.</param>
    /// <param name="trained">The held-out scores of the model that carries it.</param>
    /// <param name="folder">Where the adapter is written.</param>
    /// <param name="kept">The base model's folder.</param>
    /// <param name="device">Where to compute.</param>
    /// <param name="evaluate">Computes held-out scores.</param>
    public static IReadOnlyList<DemoCheck> Run(
        PeftModel peft, LanguageScores trained, string folder, KeptBase kept, Device device,
        Func<CausalLanguageModel, LanguageScores> evaluate)
    {
        peft.Save(folder);
        using CausalLanguageModel model = kept.Load(device).Model;
        string before = model.Fingerprint();
        using PeftModel loaded = new(model);
        loaded.Load(folder, strict: true);
        LanguageScores read = evaluate(model);
        loaded.Merge();
        LanguageScores merged = evaluate(model);
        loaded.Unmerge();
        return
        [
            Read(trained, read, device),
            DemoChecks.Merged(Difference(read, merged)),
            new DemoCheck(
                "unmerged, the weights are the base's to the last bit",
                model.Fingerprint() == before,
                $"SHA-256 of all weights {before[..12]}…, {model.Fingerprint()[..12]}… after"),
        ];
    }

    private static DemoCheck Read(LanguageScores trained, LanguageScores read, Device device)
    {
        // A file holds float32. Where the device computes with more, the loaded adapter is the trained one rounded.
        bool exact = device.FloatType == DType.Float32;
        double difference = Difference(trained, read);
        string tolerance = exact ? "to the last bit" : $"to {DemoChecks.Tolerance}";
        return new DemoCheck(
            $"saved and loaded again, base and adapter have the same held-out loss {tolerance}",
            exact ? difference == 0 : difference <= DemoChecks.MergeTolerance,
            string.Create(CultureInfo.InvariantCulture, $"{trained.New.Loss:R} trained, {read.New.Loss:R} loaded"));
    }

    private static double Difference(LanguageScores a, LanguageScores b) =>
        Math.Max(Math.Abs(a.Old.Loss - b.Old.Loss), Math.Abs(a.New.Loss - b.New.Loss));
}
