using static Delora.Cli.DemoReport;

namespace Delora.Cli;

/// <summary>The report of <c>delora demo</c>.</summary>
internal static class LanguageReport
{
    /// <summary>The report on a result.</summary>
    public static HtmlReport Of(LanguageResult result)
    {
        MethodResult<LanguageScores> delora = result.Delora;
        HtmlReport report = new(
            "Adapting a language model",
            "A small Llama, trained from nothing on one kind of text, frozen and adapted to another kind that it has not seen: with "
            + "DeLoRA, and with LoRA of the same rank.");
        report.KeyFigures(
            (Invariant($"{result.BaseScores.New.Perplexity:F1} → {delora.FigureOf(x => x.After.New.Perplexity).Text("F1")}"),
                "held-out perplexity on the new kind, before and after DeLoRA"),
            ($"{delora.Forgotten.Text("F3")} nats", "more loss on the old kind: what was forgotten"),
            (Invariant($"{100.0 * delora.Runs[0].TrainedSize / result.Size:F2} %"), "of the weights trained"),
            ($"{result.Checks.Count(x => x.Passed)} of {result.Checks.Count}", "checks passed"));
        AddResult(report, result);
        AddCourse(report, result);
        AddDistances(report, result);
        AddSamples(report, result);
        AddChecks(report, result.Checks);
        AddSetting(report, result);
        return report;
    }

    private static void AddResult(HtmlReport report, LanguageResult result)
    {
        report.Section("What was gained, and what was forgotten");
        report.Paragraph(
            "Every method trains on the new kind of text alone and is scored on held-out text of both kinds: the mean cross-entropy of the "
            + "next token in nats, and its exponential, the perplexity. Gained and forgotten are nats against the base."
            + (result.Settings.Seeds > 1
                ? $" Means over {result.Settings.Seeds} seeds; ± is the standard deviation."
                : " A single seed: no spread is known."));
        report.Table("Held-out scores", LanguageResult.Columns, result.Rows);
    }

    private static void AddCourse(HtmlReport report, LanguageResult result)
    {
        report.Section("The course of the adaptation");
        report.Charts(
            Course(result.Methods, "New kind: held-out loss", "nats a token", x => x.New.Loss, fromZero: false),
            Course(result.Methods, "Old kind: held-out loss", "nats a token", x => x.Old.Loss, fromZero: false),
            Trade(
                result.Methods, "Old kind against new, from the base (right) to the last step", "loss on the new kind",
                "loss on the old kind", x => x.New.Loss, x => x.Old.Loss),
            Losses(result.Methods, "Training loss on the new kind", fromZero: false));
    }

    private static void AddDistances(HtmlReport report, LanguageResult result)
    {
        report.Section("How far the weights moved");
        report.Paragraph(
            "The Frobenius norm of every layer's update, watched during training. DeLoRA's cannot exceed its bound, |λ| times the largest "
            + "column norm of the weight, twice that with the residual initialization; λ itself is trained, so the bound moves with it. "
            + "LoRA has none.");
        report.Table(
            "‖ΔW‖_F and its bound at the end: DeLoRA, first seed", UpdateTable.Columns(result.Updates), UpdateTable.Rows(result.Updates));
        report.Charts(
            new LineChart(
                "‖ΔW‖ of all layers together", "step", "Frobenius norm",
                [.. result.Methods.Select((method, i) => Distance(
                    method, method.Settings.Name, i, layers => Math.Sqrt(layers.Sum(x => x.Norm * x.Norm))))],
                FromZero: true),
            new LineChart(
                "Largest share of its bound that a layer takes", "step", "‖ΔW‖ / bound, %",
                [Distance(result.Delora, result.Delora.Settings.Name, 0, layers => layers.Max(x => 100 * x.Norm / x.Bound!.Value))],
                FromZero: true));
    }

    private static void AddSamples(HtmlReport report, LanguageResult result)
    {
        if (result.Samples.Count == 0)
            return;
        report.Section("Samples");
        report.Table(
            "Held-out beginnings of the new kind, and how they go on", ["Beginning", "Original", "Base", "DeLoRA, first seed"],
            [.. result.Samples.Select(x => (IReadOnlyList<string>)[x.Prompt, x.Original, x.Before, x.After])]);
    }

    private static void AddSetting(HtmlReport report, LanguageResult result)
    {
        LanguageSettings settings = result.Settings;
        LanguageCorpus corpus = result.Corpus;
        report.Section("Setting");
        report.Paragraph(
            $"Text: {corpus.Source}. Old kind: {corpus.OldKind}; {Sizes(corpus.OldTraining, corpus.OldHeldOut)}. "
            + $"New kind: {corpus.NewKind}; {Sizes(corpus.NewTraining, corpus.NewHeldOut)}. "
            + Invariant($"Evaluated are {result.BaseScores.Old.Tokens:N0} held-out tokens of the old kind and ")
            + Invariant($"{result.BaseScores.New.Tokens:N0} of the new."));
        report.Paragraph(
            Invariant($"Model: Llama, {settings.Layers} layers of {settings.HiddenSize}, {settings.Heads} heads, ")
            + Invariant($"{settings.KeyValueHeads} of keys and values, {result.Size:N0} weights, a context of {settings.Context} tokens; ")
            + Invariant($"byte-level BPE trained on the old kind. The base took {result.Base.Steps:N0} steps of {settings.BatchSize} × ")
            + Invariant($"{settings.Context} tokens in {result.Base.Seconds:F0} seconds")
            + (result.BaseWasKept ? ", in an earlier run." : "."));
        report.Paragraph(
            Invariant($"Adaptation: rank {settings.Rank} on every linear layer but the output; {settings.AdaptationSteps:N0} ")
            + Invariant($"steps of {settings.BatchSize} × {settings.Context} tokens with AdamW and a cosine schedule. ")
            + string.Join("; ", result.Methods.Select(x => $"{x.Settings.Name}: {x.Settings.Choice}")) + ".");
        if (settings.ChoiceRemark is { } remark)
            report.Paragraph(remark);
        report.Paragraph(Invariant(
            $"Seed {result.Seed}; computed on {result.DeviceName} in {result.Elapsed.TotalSeconds:F0} seconds, evaluations included."));
        report.Charts(new LineChart(
            "Training loss of the base", "step", "cross-entropy",
            [ChartSeries.OfRuns("Base", 4, [[.. result.Base.Losses.Select(x => (x[0], x[1]))]])]));
    }

    private static string Sizes(IReadOnlyList<Document> training, IReadOnlyList<Document> heldOut) =>
        Invariant($"{LanguageCorpus.Size(training):N0} characters to train on, {LanguageCorpus.Size(heldOut):N0} held out");
}
