using System.Globalization;
using Delora.Autograd;
using Delora.Core;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>
/// <c>delora demo classify</c>: trains a text classifier on families of the old kind, adapts it to the new kind with DeLoRA, LoRA and full
/// fine-tuning, each over several seeds, and compares what each won and what it forgot.
/// </summary>
internal sealed class ClassifyDemo
{
    /// <summary>The files in the output folder.</summary>
    public const string ReportName = "classify-report.html", BaseName = "classify-base.safetensors", AdapterName = "classify-adapter";

    private readonly CliConsole _console;
    private readonly ClassifySettings _settings;
    private readonly ulong _seed;
    private readonly SummaryData _data;
    private readonly Device _device;
    private readonly OutputFolder _output;
    private readonly CancellationToken _cancellation;

    internal ClassifyDemo(
        CliConsole console, ClassifySettings settings, ulong seed, SummaryData data, Device device, OutputFolder output,
        CancellationToken cancellation)
    {
        (_console, _settings, _seed, _data) = (console, settings, seed, data);
        (_device, _output, _cancellation) = (device, output, cancellation);
    }

    private string BasePath => _output.File(BaseName);

    /// <summary>Runs the demo with the settings that the options ask for.</summary>
    /// <exception cref="InputException">Device, text or output folder cannot be had.</exception>
    public static int Run(CliConsole console, ClassifyOptions options, CancellationToken cancellationToken) =>
        Run(console, options, ClassifySettings.Of(options), SelectedDevice.Open(options.Device), cancellationToken);

    /// <summary>Runs the demo on a device.</summary>
    /// <exception cref="InputException">Text or output folder cannot be had.</exception>
    /// <exception cref="DeloraException">A check failed.</exception>
    /// <exception cref="OperationCanceledException">The run was interrupted.</exception>
    public static int Run(
        CliConsole console, ClassifyOptions options, ClassifySettings settings, Device device, CancellationToken cancellationToken)
    {
        long start = console.Time.GetTimestamp();
        string folder = DocumentationFolder.Find(options.TextFolder, DotnetRoots.Candidates());
        using OutputFolder output = OutputFolder.Open(options.Out);
        if (options.Quick)
            console.Output.WriteLine("A quick run: few steps and one seed. It shows that everything works, not how well.");
        SummaryCorpus corpus = SummaryCorpus.Load(folder, cancellationToken);
        console.Output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"Text: {corpus.OldTraining.Count:N0} summaries of {SummaryCorpus.OldFamilies.Length} families to train the base on, "
            + $"{corpus.NewTraining.Count:N0} of {SummaryCorpus.NewFamilies.Length} new ones to adapt it to "
            + $"(held out: {corpus.OldHeldOut.Count:N0} and {corpus.NewHeldOut.Count:N0}), from {folder}"));
        console.Output.WriteLine($"Device: {device.Name}");
        SummaryData data = SummaryData.Of(corpus, settings.Buckets, cancellationToken);
        ClassifyDemo demo = new(console, settings, options.Seed, data, device, output, cancellationToken);
        ClassifyResult result = demo.Compute(corpus, () => console.Time.GetElapsedTime(start));
        DemoOutput.Table(console, ClassifyResult.Columns, result.Rows);
        DemoOutput.Checks(console, result.Checks);
        string report = output.File(ReportName);
        ClassifyReport.Of(result).Save(report);
        console.Output.WriteLine($"Report: {report}");
        console.Output.WriteLine($"Adapter: {output.File(AdapterName)} (look into it with 'delora inspect')");
        console.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Time: {result.Elapsed.TotalSeconds:F0} s"));
        DemoOutput.Require(result.Checks);
        return ExitCode.Success;
    }

    internal ClassifyResult Compute(SummaryCorpus corpus, Func<TimeSpan> elapsed)
    {
        (RunRecorder<Scores> baseRun, Scores baseScores, long size) = TrainBase();
        List<MethodResult<Scores>> methods = [];
        List<DemoCheck> checks = [];
        foreach (AdaptationSettings method in _settings.Methods)
        {
            List<AdaptationRun<Scores>> runs = [];
            for (int i = 0; i < _settings.Seeds; i++)
            {
                bool check = method.Method == AdaptationMethod.Delora && i == 0;
                runs.Add(Adapt(method, i, baseScores, check ? checks : null));
            }

            methods.Add(new MethodResult<Scores>(method, runs));
            if (method.Method == AdaptationMethod.Delora)
                checks.AddRange([
                    DemoChecks.Bound(methods[^1]),
                    DemoChecks.Gain(methods[^1], "accuracy", "the new families", "F1", "points of accuracy"),
                ]);
        }

        return new ClassifyResult(
            _settings, _seed, corpus, _device.Name, size, baseRun, baseScores, methods, checks, elapsed());
    }

    private (RunRecorder<Scores> Run, Scores Scores, long Size) TrainBase()
    {
        using SummaryNetwork network = new(_settings, _device, new Generator(DemoOutput.Key(_seed, "base weights")));
        using ProgressPhase phase = new(_console, "Base", _settings.BaseSteps);
        RunRecorder<Scores> recorder = new(phase);
        Parameter[] parameters = [.. network.NamedParameters().Select(x => x.Parameter)];
        Train(
            network, parameters, _settings.BaseLearningRate, _settings.BaseSteps, _data.OldTraining,
            DemoOutput.Key(_seed, "base batches"), recorder);
        network.Save(BasePath);
        return (recorder, Scores.Of(network, _data, _cancellation), network.Size);
    }

    private AdaptationRun<Scores> Adapt(AdaptationSettings method, int index, Scores before, List<DemoCheck>? checks)
    {
        ulong seed = unchecked(_seed + (ulong)index);
        string name = $"{method.Name}, seed {index + 1} of {_settings.Seeds}";
        using AdaptedNetwork adapted = new(BasePath, _device, method, _settings.Rank, new Generator(DemoOutput.Key(seed, "adapter")));
        RunRecorder<Scores> recorder;
        using (ProgressPhase phase = new(_console, name, _settings.AdaptationSteps))
        {
            recorder = new RunRecorder<Scores>(phase)
            {
                Watch = adapted.Updates,
                // The distance of a fully trained weight takes a copy of it: seldom.
                WatchEvery = adapted.Peft is null ? _settings.EvaluateEvery : _settings.WatchEvery,
                Evaluate = () => Scores.Of(adapted.Network, _data, _cancellation),
                EvaluateEvery = _settings.EvaluateEvery,
            };
            recorder.OnStart(before);
            Train(
                adapted.Network, adapted.Parameters, method.LearningRate, _settings.AdaptationSteps, _data.NewTraining,
                DemoOutput.Key(seed, "adaptation batches"), recorder);
        }

        checks?.AddRange(AdapterChecks.Run(adapted, BasePath, _output.File(AdapterName), _data, _cancellation));
        return new AdaptationRun<Scores>(seed, adapted.TrainedSize, before, recorder.Scores[^1].Scores, recorder);
    }

    private void Train(
        SummaryNetwork network, IReadOnlyList<Parameter> parameters, double learningRate, int steps, BagData texts, ulong order,
        RunRecorder<Scores> recorder)
    {
        using AdamW optimizer = new(parameters, learningRate, weightDecay: 0);
        Trainer<BagData> trainer = new(optimizer, network.Loss, batch => batch.Rows) { Callbacks = { recorder } };
        network.Train();
        trainer.Run(
            Batches(texts, order),
            new TrainerOptions
            {
                Steps = steps,
                Schedule = LearningRateSchedule.Cosine(steps, (int)(steps * _settings.WarmupShare)),
                MaxGradientNorm = _settings.MaxGradientNorm,
            },
            cancellation: _cancellation);
        network.Train(false);
    }

    private IEnumerable<BagData> Batches(BagData texts, ulong order)
    {
        ShuffledBatches batches = new(texts.Rows, _settings.BatchSize, order);
        while (true)
            yield return texts.Take(batches.Next());
    }
}
