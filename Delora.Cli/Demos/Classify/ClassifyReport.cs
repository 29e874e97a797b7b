using static Delora.Cli.DemoReport;

namespace Delora.Cli;

/// <summary>The report of <c>demo classify</c>.</summary>
internal static class ClassifyReport
{
    /// <summary>The report on a result.</summary>
    public static HtmlReport Of(ClassifyResult result)
    {
        MethodResult<Scores> delora = result.Methods.First(x => x.Settings.Method == AdaptationMethod.Delora);
        AdaptationRun<Scores> first = delora.Runs[0];
        HtmlReport report = new(
            "Adapting a text classifier",
            "A network that tells which family of namespaces a summary of .NET's documentation comes from, frozen and adapted to families "
            + "that it has not seen: with DeLoRA, with LoRA of the same rank, and by training every weight.");
        report.KeyFigures(
            ($"{delora.FigureOf(x => 100 * x.After.New.Accuracy).Text("F1")} %", "held-out accuracy on the new families with DeLoRA"),
            ($"{delora.Forgotten.Text("F1")} points", "accuracy lost on the old families"),
            (Invariant($"{100.0 * first.TrainedSize / result.NetworkSize:F2} %"), "of the weights trained"),
            ($"{result.Checks.Count(x => x.Passed)} of {result.Checks.Count}", "checks passed"));
        AddResult(report, result);
        AddCourse(report, result);
        AddDistances(report, result);
        AddChecks(report, result.Checks);
        AddSetting(report, result);
        return report;
    }

    private static void AddResult(HtmlReport report, ClassifyResult result)
    {
        report.Section("What was gained, and what was forgotten");
        report.Paragraph(
            "Every method trains on text of the new families alone and is scored on held-out text, whole types that no training text comes "
            + "from, over all families at once: a text of an old family that is taken for a new one counts as wrong."
            + (result.Settings.Seeds > 1
                ? $" Means over {result.Settings.Seeds} seeds; ± is the standard deviation."
                : " A single seed: no spread is known."));
        report.Table("Held-out scores; gained and forgotten are points of accuracy against the base", ClassifyResult.Columns, result.Rows);
    }

    private static void AddCourse(HtmlReport report, ClassifyResult result)
    {
        report.Section("The course of the adaptation");
        report.Charts(
            Course(result.Methods, "New families: held-out accuracy", "accuracy, %", x => 100 * x.New.Accuracy),
            Course(result.Methods, "Old families: held-out accuracy", "accuracy, %", x => 100 * x.Old.Accuracy),
            Trade(
                result.Methods, "Gained against kept, from the base (left) to the last step", "accuracy on new families, %",
                "accuracy on old families, %", x => 100 * x.New.Accuracy, x => 100 * x.Old.Accuracy),
            Losses(result.Methods, "Training loss on the new families"));
    }

    private static void AddDistances(HtmlReport report, ClassifyResult result)
    {
        report.Section("How far the weights moved");
        report.Paragraph(
            "The Frobenius norm of every layer's update, watched during training. DeLoRA's cannot exceed its bound, |λ| times the largest "
            + "column norm of the weight, twice that with the residual initialization; λ itself is trained, so the bound moves with it. "
            + "LoRA and full fine-tuning have none.");
        IReadOnlyList<string> layers = [.. result.Methods[0].Runs[0].Record.Updates[0].Layers.Select(x => x.Layer)];
        report.Charts([.. layers.Select((layer, number) => DistanceChart(result, layer, number))]);
    }

    private static LineChart DistanceChart(ClassifyResult result, string layer, int number)
    {
        List<ChartSeries> series = [];
        foreach ((int color, MethodResult<Scores> method) in result.Methods.Index())
        {
            string name = method.Settings.Name;
            series.Add(Distance(method, name, color, layers => layers[number].Norm));
            if (method.Runs[0].Record.Updates[0].Layers[number].Bound is not null)
            {
                series.Add(Distance(method, $"Bound of {name}", color, layers => layers[number].Bound!.Value) with
                {
                    Dashed = true,
                });
            }
        }

        return new LineChart($"‖ΔW‖ of {layer}", "step", "Frobenius norm", series, FromZero: true);
    }

    private static void AddSetting(HtmlReport report, ClassifyResult result)
    {
        ClassifySettings settings = result.Settings;
        SummaryCorpus corpus = result.Corpus;
        report.Section("Setting");
        report.Paragraph(Invariant(
            $"Text: the summaries in {corpus.Folder}. Old families: {List(SummaryCorpus.OldFamilies)}; {corpus.OldTraining.Count:N0} ")
            + Invariant($"texts to train on, {corpus.OldHeldOut.Count:N0} held out. New families: {List(SummaryCorpus.NewFamilies)}; ")
            + Invariant($"{corpus.NewTraining.Count:N0} texts to train on, {corpus.NewHeldOut.Count:N0} held out."));
        report.Paragraph(Invariant(
            $"Network: words, pairs of words and letter n-grams are hashed into {settings.Buckets:N0} rows of {settings.EmbeddingDim}; ")
            + Invariant($"their mean goes through two hidden layers of {settings.HiddenDim} with GELU; {result.NetworkSize:N0} weights. ")
            + Invariant($"The base took {settings.BaseSteps:N0} steps of {settings.BatchSize} texts."));
        report.Paragraph(
            Invariant($"Adaptation: rank {settings.Rank} on {string.Join(", ", SummaryNetwork.AdaptedLayers.Names)}; ")
            + Invariant($"{settings.AdaptationSteps:N0} steps of {settings.BatchSize} texts with AdamW and a cosine schedule. ")
            + string.Join("; ", result.Methods.Select(x => $"{x.Settings.Name}: {x.Settings.Choice}")) + ".");
        if (settings.ChoiceRemark is { } remark)
            report.Paragraph(remark);
        report.Paragraph(Invariant(
            $"Seed {result.Seed}; computed on {result.DeviceName} in {result.Elapsed.TotalSeconds:F0} seconds, evaluations included."));
        report.Charts(new LineChart(
            "Training loss of the base", "step", "cross-entropy",
            [ChartSeries.OfRuns("Base", 4, [ChartSeries.Smooth(result.Base.Losses, LossPoints)])], FromZero: true));
    }

    private static string List(ReadOnlySpan<string> names) => string.Join(", ", names!);
}
