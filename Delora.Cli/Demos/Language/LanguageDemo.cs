using Delora.Core;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>
/// <c>delora demo</c>: trains a small language model on one kind of text, or takes the one that an earlier run kept, adapts it to another
/// kind with DeLoRA and with LoRA, each over several seeds, and compares what each won and what it forgot.
/// </summary>
internal sealed class LanguageDemo
{
    /// <summary>What is in the output folder.</summary>
    public const string ReportName = "report.html", BaseName = "base", AdapterName = "adapter", LoraAdapterName = "lora-adapter";

    private readonly CliConsole _console;
    private readonly LanguageOptions _options;
    private readonly LanguageSettings _settings;
    private readonly LanguageCorpus _corpus;
    private readonly Device _device;
    private readonly OutputFolder _output;
    private readonly KeptBase _kept;
    private readonly CancellationToken _cancellation;
    private readonly List<(string Name, TimeSpan Time)> _phases = [];
    private long _phaseStart;

    private LanguageDemo(
        CliConsole console, LanguageOptions options, LanguageSettings settings, LanguageCorpus corpus, Device device, OutputFolder output,
        long start, CancellationToken cancellation)
    {
        (_console, _options, _settings, _corpus, _device) = (console, options, settings, corpus, device);
        (_output, _phaseStart, _cancellation) = (output, start, cancellation);
        _kept = new KeptBase(output.File(BaseName), output.File(AdapterName), output.File(LoraAdapterName));
    }

    /// <summary>Runs the demo with the settings that the options ask for.</summary>
    /// <exception cref="InputException">Device, text or output folder cannot be had.</exception>
    public static int Run(CliConsole console, LanguageOptions options, CancellationToken cancellationToken) =>
        Run(console, options, LanguageSettings.Of(options), SelectedDevice.Open(options.Device), cancellationToken);

    /// <summary>Runs the demo on a device.</summary>
    /// <exception cref="InputException">Text or output folder cannot be had.</exception>
    /// <exception cref="DeloraException">A check failed.</exception>
    /// <exception cref="OperationCanceledException">The run was interrupted.</exception>
    public static int Run(
        CliConsole console, LanguageOptions options, LanguageSettings settings, Device device, CancellationToken cancellationToken)
    {
        long start = console.Time.GetTimestamp();
        LanguageCorpus corpus = options.TextFile is { } file
            ? LanguageCorpus.OfFile(file)
            : LanguageCorpus.OfDocumentation(DocumentationFolder.Find(null, DotnetRoots.Candidates()), cancellationToken);
        using OutputFolder output = OutputFolder.Open(options.Out);
        LanguageDemo demo = new(console, options, settings, corpus, device, output, start, cancellationToken);
        LanguageResult result = demo.Compute();
        LanguageSummary.Show(console, result);
        LanguageReport.Of(result).Save(output.File(ReportName));
        LanguageSummary.ShowNext(console, result, output);
        DemoOutput.Require(result.Checks);
        return ExitCode.Success;
    }

    private LanguageResult Compute()
    {
        if (_options.Quick)
            _console.Output.WriteLine("A quick run: few steps and one seed. It shows that everything works, not how well.");
        DemoOutput.Line(_console, $"Text: {_corpus.Source}");
        ShowKind("old", _corpus.OldKind, _corpus.OldTraining, _corpus.OldHeldOut);
        ShowKind("new", _corpus.NewKind, _corpus.NewTraining, _corpus.NewHeldOut);
        _console.Output.WriteLine($"Device: {_device.Name}");
        _kept.RequireOwn();
        EndPhase("text");

        BaseRecord record = Base(out bool wasKept);
        (CausalLanguageModel model, TextTokenizer tokenizer) = _kept.Load(_device);
        using (model)
        {
            _console.Output.WriteLine($"Model: {ModelFolder.Describe(model.Config)}");
            LanguageData data = LanguageData.Of(_corpus, tokenizer, _settings);
            LanguageScores before = Evaluate(model, data);
            LanguageSamples samples = new(_corpus, tokenizer, _settings, DemoOutput.Key(_options.Seed, "samples"), _cancellation);
            IReadOnlyList<string> textsBefore = samples.Continue(model), textsAfter = [];
            EndPhase("base");

            List<MethodResult<LanguageScores>> methods = [];
            List<DemoCheck> checks = [];
            foreach (AdaptationSettings method in _settings.Methods)
            {
                List<AdaptationRun<LanguageScores>> runs = [];
                for (int i = 0; i < _settings.Seeds; i++)
                    runs.Add(Adapt(model, data, method, i, before, i > 0 ? null : Finish));
                methods.Add(new MethodResult<LanguageScores>(method, runs));
                EndPhase(method.Name);

                void Finish(PeftModel peft, LanguageScores after)
                {
                    if (method.Method == AdaptationMethod.Delora)
                    {
                        textsAfter = samples.Continue(model);
                        checks.AddRange(LanguageChecks.Run(
                            peft, after, _output.File(AdapterName), _kept, _device, other => Evaluate(other, data)));
                    }
                    else
                    {
                        peft.Save(_output.File(LoraAdapterName));
                    }
                }
            }

            MethodResult<LanguageScores> delora = methods.First(x => x.Settings.Method == AdaptationMethod.Delora);
            checks.Add(DemoChecks.Bound(delora));
            checks.Add(DemoChecks.Gain(delora, "loss", "the new kind of text", "F3", "nats"));
            return new LanguageResult(
                _settings, _options.Seed, _corpus, _device.Name, model.Config.ParameterCount, record, wasKept, before, methods,
                [.. samples.Prompts.Select((prompt, i) => new Sample(prompt, samples.Originals[i], textsBefore[i], textsAfter[i]))],
                checks, _phases);
        }
    }

    /// <summary>The base that is kept, or else a new one.</summary>
    private BaseRecord Base(out bool wasKept)
    {
        string text = _corpus.Fingerprint(), own = Recipe(_settings);
        string? reason = null;
        // A quick run does with the base of a full one: the settings differ in nothing else that the base depends on.
        IReadOnlyList<string> recipes =
            _options.Quick ? [own, Recipe(_settings with { BaseSteps = new LanguageSettings().BaseSteps })] : [own];
        if (!_options.Retrain && _kept.Find(recipes, out reason) is { } record)
        {
            DemoOutput.Line(
                _console,
                $"Base: kept from an earlier run, {record.Steps:N0} steps in {record.Seconds:F0} s (--retrain trains it anew)");
            wasKept = true;
            return record;
        }

        if (reason is not null)
            _console.Output.WriteLine($"Base: the one in {_output.File(BaseName)} {reason}; it is trained anew");
        wasKept = false;
        return new BaseTraining(_console, _settings, _options.Seed, _device, _cancellation).Run(_corpus, _kept, own);

        string Recipe(LanguageSettings settings) => $"{text} {settings.BaseRecipe(_options.Seed)}";
    }

    private AdaptationRun<LanguageScores> Adapt(
        CausalLanguageModel model, LanguageData data, AdaptationSettings method, int index, LanguageScores before,
        Action<PeftModel, LanguageScores>? finish)
    {
        ulong seed = unchecked(_options.Seed + (ulong)index);
        using FineTuner tuner = new(model, data.NewTraining, new FineTuningOptions
        {
            Adapter = method.Config(_settings.Rank, ModuleSelector.AllLinear) with { BaseModelNameOrPath = _output.File(BaseName) },
            Steps = _settings.AdaptationSteps,
            BatchSize = _settings.BatchSize,
            LearningRate = method.LearningRate,
            WarmupSteps = (int)(_settings.AdaptationSteps * _settings.WarmupShare),
            MaxGradientNorm = _settings.MaxGradientNorm,
            Seed = DemoOutput.Key(seed, "adaptation"),
        });
        RunRecorder<LanguageScores> recorder;
        using (ProgressPhase phase = new(
            _console, $"{method.Name}, seed {index + 1} of {_settings.Seeds}", _settings.AdaptationSteps, "tokens"))
        {
            recorder = new RunRecorder<LanguageScores>(phase)
            {
                Watch = () => [.. tuner.Peft.BoundReport().Layers.Select(x => new LayerUpdate(x.Layer, x.Norm, x.Bound))],
                WatchEvery = _settings.WatchEvery,
                Evaluate = () => Evaluate(model, data),
                EvaluateEvery = _settings.EvaluateEvery,
            };
            recorder.OnStart(before);
            tuner.Run(progress: recorder, cancellation: _cancellation);
        }

        LanguageScores after = recorder.Scores[^1].Scores;
        finish?.Invoke(tuner.Peft, after);
        long size = tuner.Peft.TrainableParameters().Sum(x => x.Parameter.Shape.ElementCount);
        return new AdaptationRun<LanguageScores>(seed, size, before, after, recorder);
    }

    private LanguageScores Evaluate(CausalLanguageModel model, LanguageData data) =>
        LanguageScores.Of(model, data, _settings.BatchSize, _cancellation);

    private void ShowKind(string name, string kind, IReadOnlyList<Document> training, IReadOnlyList<Document> heldOut) => DemoOutput.Line(
        _console,
        $"  {name} kind, {kind}: {LanguageCorpus.Size(training):N0} characters, {LanguageCorpus.Size(heldOut):N0} held out");

    private void EndPhase(string name)
    {
        _phases.Add((name, _console.Time.GetElapsedTime(_phaseStart)));
        _phaseStart = _console.Time.GetTimestamp();
    }
}
