using System.Text.Json;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Golden;

/// <summary>
/// Whole transformer models with adapters, by PEFT and transformers: logits, losses, gradients, a training run, merging, several adapters, and the
/// folders that both write.
/// </summary>
[Trait("Category", "Golden")]
public sealed class GoldenModelTests
{
    [Theory, MemberData(nameof(GoldenCases.Models), MemberType = typeof(GoldenCases))]
    public void LogitsAndLossesAgreeWithPeft(string name)
    {
        ForEveryDevice(name, run =>
        {
            run.CompareLogits("logits_base");
            run.CompareLoss("loss_base");
            run.Load(run.HasTwo ? "adapter_two" : "adapter_single", "default");
            run.CompareLogits("logits_default");
            run.CompareLoss("loss_default");
            if (run.HasTwo) CompareTwo(run);
            using (run.Peft.Disable()) run.CompareLogits("logits_disabled");
            run.Load("adapter_trained", "trained");
            run.CompareLogits("logits_trained");
            run.AssertAllCompared(["logits_", "loss_"], but: ["logits_merged", "loss_merged"]);
        });
    }

    [Theory, MemberData(nameof(GoldenCases.Models), MemberType = typeof(GoldenCases))]
    public void AdaptersAreMergedAsPeftMergesThem(string name)
    {
        ForEveryDevice(name, run =>
        {
            run.Load("adapter_single", "default");
            run.Peft.Merge();
            run.CompareLogits("logits_merged");
            run.CompareLoss("loss_merged");
            using (var scope = new TensorScope("merged weights"))
            {
                Dictionary<string, ModuleState> state = run.Model.NamedState().ToDictionary(entry => entry.Name, entry => entry.State);
                foreach (string tensor in run.Golden.Compared.Where(tensor => tensor.StartsWith("merged.", StringComparison.Ordinal)))
                {
                    string weight = tensor["merged.".Length..];
                    // A tied weight is listed under the embedding's name alone.
                    run.Golden.AssertClose(tensor, state.TryGetValue(weight, out ModuleState? own)
                        ? own.Read()
                        : ((Linear)run.Model.GetModule(weight[..weight.LastIndexOf('.')])).CopyWeight());
                }
            }
            using (var folder = new TemporaryFolder())
            {
                run.Model.Save(folder.File("merged"));
                using var saved = new Run(run.Golden, run.Model.Device, folder.File("merged"));
                saved.CompareLogits("logits_merged");
            }
            run.Peft.Unmerge();
            run.CompareLogits(run.HasTwo ? "logits_default_again" : "logits_default");
        });
    }

    [Theory, MemberData(nameof(GoldenCases.Models), MemberType = typeof(GoldenCases))]
    public void AsLoraAnAdapterComputesTheSameLogits(string name)
    {
        ForEveryDevice(name, run =>
        {
            using var folder = new TemporaryFolder();
            using (AdapterFolder adapter = AdapterFolder.Open(Path.Combine(run.Golden.Folder, "adapter_single"), Devices.Cpu))
                adapter.SaveAsLora(folder.Path);
            run.Peft.Load(folder.Path, strict: true);
            Assert.IsType<LoraConfig>(run.Peft.Configs["default"]);
            run.CompareLogits(run.HasTwo ? "logits_default_again" : "logits_default");
        });
    }

    [Theory, MemberData(nameof(GoldenCases.Models), MemberType = typeof(GoldenCases))]
    public void RowsWithAdaptersOfTheirOwnComputeTheLogitsOfEach(string name)
    {
        ForEveryDevice(name, run =>
        {
            string[] names = run.HasTwo ? [PeftModel.BaseRow, "default", run.Other] : [PeftModel.BaseRow, "default"];
            run.Load(run.HasTwo ? "adapter_two" : "adapter_single", "default");
            if (run.HasTwo) run.Load(Path.Combine("adapter_two", run.Other), run.Other);
            run.Peft.Activate();
            if (run.Peft.Configs.Values.Any(config => config.WithTaskHeads().ModulesToSave is { IsEmpty: false }))
                Assert.Throws<NotSupportedException>(() => run.Peft.Rows(names));
            else
                for (int turn = 0; turn < names.Length; turn++) run.CompareRows([.. names[turn..], .. names[..turn]]);
        });
    }

    [Theory, MemberData(nameof(GoldenCases.Models), MemberType = typeof(GoldenCases))]
    public void TheMergedFolderThatTransformersWroteComputesTheMergedLogits(string name)
    {
        GoldenCase golden = WithMergedFolder(name);
        using var run = new Run(golden, Devices.Cpu, Path.Combine(golden.Folder, "merged"));
        run.CompareLogits("logits_merged");
        run.CompareLoss("loss_merged");
    }

    [Theory, MemberData(nameof(GoldenCases.Models), MemberType = typeof(GoldenCases))]
    public void TheMergedFolderIsThatOfTransformers(string name)
    {
        GoldenCase golden = WithMergedFolder(name);
        using var run = new Run(golden, Devices.Cpu);
        using var folder = new TemporaryFolder();
        run.Load("adapter_single", "default");
        run.Peft.Merge();
        run.Model.Save(folder.Path);
        using SafetensorsFile wanted = SafetensorsFile.Open(Path.Combine(golden.Folder, "merged", WeightFiles.SingleName)),
            written = SafetensorsFile.Open(folder.File(WeightFiles.SingleName));
        Assert.Equal(wanted.Entries.Select(entry => (entry.Name, entry.Shape, entry.StoredType)), written.Entries.Select(entry => (entry.Name, entry.Shape, entry.StoredType)));
        double allowance = golden.Compared.Where(tensor => tensor.StartsWith("merged.", StringComparison.Ordinal)).Max(golden.AllowanceOf);
        using var scope = new TensorScope("compare files");
        foreach (SafetensorsEntry entry in wanted.Entries)
            Assert.Null(GoldenCase.FirstDifference($"{name}: {entry.Name}", written.Read(entry.Name, Devices.Cpu).ToArray<double>(),
                new GoldenTensor(entry.Shape, wanted.Read(entry.Name, Devices.Cpu).ToArray<double>()), allowance, 0));
    }

    [Theory, MemberData(nameof(GoldenCases.Models), MemberType = typeof(GoldenCases))]
    public void GradientsAndTrainingAgreeWithPeft(string name) => ForEveryDevice(name, Train);

    [Theory, MemberData(nameof(GoldenCases.Models), MemberType = typeof(GoldenCases))]
    public void SavedFoldersAreThoseOfPeftAndTransformers(string name)
    {
        GoldenCase golden = GoldenCases.Model(name);
        using var run = new Run(golden, Devices.Cpu);
        using var folder = new TemporaryFolder();
        run.Model.Save(folder.File("base"));
        AssertSameTensors(Path.Combine(golden.Folder, "base", WeightFiles.SingleName), folder.File("base/" + WeightFiles.SingleName));
        AssertSameFields(Path.Combine(golden.Folder, "base", ModelConfig.FileName), folder.File("base/" + ModelConfig.FileName));
        string adapters = run.HasTwo ? "adapter_two" : "adapter_single";
        string[] parts = run.HasTwo ? ["", run.Other] : [""];
        foreach (string part in parts) run.Load(Path.Combine(adapters, part), part.Length == 0 ? "default" : part);
        run.Peft.Save(folder.File("adapters"));
        foreach (string part in parts)
        {
            string want = Path.Combine(golden.Folder, adapters, part), got = Path.Combine(folder.File("adapters"), part);
            AssertSameTensors(Path.Combine(want, PeftModel.WeightsFileName), Path.Combine(got, PeftModel.WeightsFileName));
            AssertSameFields(Path.Combine(want, AdapterConfig.FileName), Path.Combine(got, AdapterConfig.FileName));
        }
    }

    private static GoldenCase WithMergedFolder(string name)
    {
        GoldenCase golden = GoldenCases.Model(name);
        JsonElement error = golden.Json.GetProperty("merge_and_unload_error");
        Assert.SkipWhen(error.ValueKind != JsonValueKind.Null, $"{name}: PEFT could not write it: {error}");
        return golden;
    }

    private static void CompareTwo(Run run)
    {
        run.Load(Path.Combine("adapter_two", run.Other), run.Other);
        string logits = $"logits_{run.Other}";
        run.CompareLogits(logits);
        run.CompareLoss($"loss_{run.Other}");
        if (run.Golden.Json.GetProperty("two_active_error").ValueKind == JsonValueKind.Null)
        {
            run.Peft.Activate("default", run.Other);
            run.CompareLogits($"logits_default_and_{run.Other}");
        }
        else
        {
            // PEFT: "Only one adapter can be set at a time for ModulesToSaveWrapper".
            var error = Assert.Throws<ArgumentException>(() => run.Peft.Activate("default", run.Other));
            Assert.Contains($"default, {run.Other}", error.Message, StringComparison.Ordinal);
            Assert.Equal([run.Other], run.Peft.ActiveAdapters);
            run.CompareLogits(logits);
        }
        run.Peft.Activate("default");
        run.CompareLogits("logits_default_again");
    }

    private static void Train(Run run)
    {
        GoldenCase golden = run.Golden;
        run.Load("adapter_single", "default");
        Dictionary<string, Parameter> parameters = run.Peft.TrainableParameters().ToDictionary(pair => pair.Name, pair => pair.Parameter);
        Assert.Equal(golden.Json.GetProperty("trainable_parameters_in_memory").EnumerateArray().Select(e => e.GetString()!), parameters.Keys);
        JsonElement training = golden.Json.GetProperty("training");
        using var optimizer = new AdamW(parameters.Values, training.GetProperty("lr").GetDouble(), training.GetProperty("betas")[0].GetDouble(),
            training.GetProperty("betas")[1].GetDouble(), training.GetProperty("eps").GetDouble(), training.GetProperty("weight_decay").GetDouble());
        int steps = training.GetProperty("steps").GetInt32();
        var losses = new double[steps + 1];
        for (int step = 0; step <= steps; step++)
        {
            optimizer.ZeroGradients();
            using (var tape = new Tape())
            {
                Tensor loss = run.Loss();
                tape.Backward(loss);
                losses[step] = loss.ToScalar();
            }
            if (step == 0) Compare("grad", parameter => parameter.Gradient!);
            if (step < steps) optimizer.Step();
        }
        Compare("trained", parameter => parameter.Value);
        golden.AssertClose("train_losses", losses);

        void Compare(string stage, Func<Parameter, Tensor> of)
        {
            foreach ((string parameterName, Parameter parameter) in parameters)
            {
                string saved = $"{stage}.{parameterName.Replace(".modules_to_save.default", "", StringComparison.Ordinal).Replace(".default", "", StringComparison.Ordinal)}";
                Assert.Contains(saved, golden.Compared);
                golden.AssertClose(saved, of(parameter));
            }
        }
    }

    private static void ForEveryDevice(string name, Action<Run> test)
    {
        GoldenCase golden = GoldenCases.Model(name);
        foreach (TheoryDataRow<string> row in TestDevices.AllNames)
        {
            // The simulator takes minutes for a model; the ops that it is made of are compared there one by one.
            if (row.Skip is not null || row.Data == "simulator") continue;
            using var run = new Run(golden, TestDevices.Get(row.Data));
            test(run);
        }
    }

    private static void AssertSameTensors(string want, string got)
    {
        using SafetensorsFile wanted = SafetensorsFile.Open(want), written = SafetensorsFile.Open(got);
        Assert.Equal(wanted.Entries.Select(entry => (entry.Name, entry.Shape, entry.StoredType)), written.Entries.Select(entry => (entry.Name, entry.Shape, entry.StoredType)));
        Assert.Equal(wanted.Metadata, written.Metadata);
        using var scope = new TensorScope("compare files");
        foreach (SafetensorsEntry entry in wanted.Entries)
            Assert.Equal(wanted.Read(entry.Name, Devices.Cpu).ToArray<float>(), written.Read(entry.Name, Devices.Cpu).ToArray<float>());
    }

    private static void AssertSameFields(string want, string got)
    {
        using JsonDocument wanted = JsonDocument.Parse(File.ReadAllBytes(want)), written = JsonDocument.Parse(File.ReadAllBytes(got));
        Assert.Equal(wanted.RootElement.EnumerateObject().Select(field => field.Name).Order(StringComparer.Ordinal),
            written.RootElement.EnumerateObject().Select(field => field.Name).Order(StringComparer.Ordinal));
        foreach (JsonProperty field in wanted.RootElement.EnumerateObject())
            Assert.True(written.RootElement.TryGetProperty(field.Name, out JsonElement value) && JsonElement.DeepEquals(Sorted(field.Value), Sorted(value)),
                $"{got}: {field.Name}: {value} instead of {field.Value}");

        // Lists of modules are sets in Python, whose order is another one in every run; PEFT names a task's head again where it was named.
        static JsonElement Sorted(JsonElement value) => value.ValueKind == JsonValueKind.Array
            ? JsonSerializer.SerializeToElement(value.EnumerateArray().Select(e => e.GetString()).Distinct().Order(StringComparer.Ordinal))
            : value;
    }

    /// <summary>The case's base model on a device, with its inputs.</summary>
    private sealed class Run : IDisposable
    {
        private readonly int[] _ids, _mask, _labels;
        private readonly Shape _shape;
        private readonly EncodedBatch _batch;
        private readonly HashSet<string> _compared = [];

        internal Run(GoldenCase golden, Device device, string? folder = null)
        {
            Golden = golden;
            Model = PretrainedModel.Load(folder ?? Path.Combine(golden.Folder, "base"), device, strict: true);
            Peft = new PeftModel(Model);
            _shape = golden["input_ids"].Shape;
            _ids = golden["input_ids"].Integers;
            _mask = golden["attention_mask"].Integers;
            _labels = golden["labels"].Integers;
            _batch = EncodedBatch.From(_ids, _mask, golden.Has("token_type_ids") ? golden["token_type_ids"].Integers : null, _shape[0]);
        }

        internal GoldenCase Golden { get; }

        internal PretrainedModel Model { get; }

        internal PeftModel Peft { get; }

        /// <summary>Whether the case has two adapters.</summary>
        internal bool HasTwo => Directory.Exists(Path.Combine(Golden.Folder, "adapter_two"));

        /// <summary>The name of the second.</summary>
        internal string Other =>
            Assert.Single(Golden.Json.GetProperty("peft_configs").EnumerateObject(), config => config.Name != PeftModel.DefaultAdapter).Name;

        internal void Load(string folder, string name) => Peft.Load(Path.Combine(Golden.Folder, folder), name, trainable: true);

        internal void CompareLogits(string name)
        {
            using var scope = new TensorScope(name);
            _compared.Add(name);
            if (Model is SequenceClassifier classifier) Golden.AssertClose(name, classifier.Forward(_batch));
            else Golden.AssertRowsClose(name, Language.Forward(Tensor(_ids), Tensor(_mask)), _mask);
        }

        /// <summary>Computes the texts with these adapters in turn, in one batch.</summary>
        internal void CompareRows(string[] adapters)
        {
            using var scope = new TensorScope("rows");
            string[] rows = [.. Enumerable.Range(0, _shape[0]).Select(row => adapters[row % adapters.Length])];
            using IDisposable use = Peft.Rows(rows).Use();
            Tensor logits = Model is SequenceClassifier classifier ? classifier.Forward(_batch) : Language.Forward(Tensor(_ids), Tensor(_mask));
            int places = checked((int)(logits.Shape.Rows / rows.Length));
            foreach (string adapter in adapters)
                Golden.AssertRowsClose(adapter == PeftModel.BaseRow ? "logits_base" : $"logits_{adapter}", logits,
                    [.. Enumerable.Range(0, rows.Length * places).Select(i => rows[i / places] != adapter ? 0 : places == 1 ? 1 : _mask[i])]);
        }

        internal void CompareLoss(string name)
        {
            using var scope = new TensorScope(name);
            _compared.Add(name);
            Golden.AssertClose(name, [Loss().ToScalar()]);
        }

        internal Tensor Loss() => Model is SequenceClassifier classifier
            ? classifier.Loss(_batch, _labels)
            : Language.Loss(Tensor(_ids), Tensor(Targets(_labels, _shape[1])), Tensor(_mask));

        /// <summary>Fails where the case has a result that nothing was compared with.</summary>
        internal void AssertAllCompared(string[] prefixes, string[] but) =>
            Assert.Empty(Golden.Compared.Where(name => prefixes.Any(prefix => name.StartsWith(prefix, StringComparison.Ordinal)))
                .Except(_compared).Except(but));

        public void Dispose()
        {
            Peft.Dispose();
            Model.Dispose();
        }

        private CausalLanguageModel Language => Assert.IsAssignableFrom<CausalLanguageModel>(Model);

        private Tensor Tensor(int[] values) => Delora.Core.Tensor.From(values, _shape, Model.Device);

        /// <summary>transformers compares the scores at t with the label at t + 1.</summary>
        private static int[] Targets(int[] labels, int seq) =>
            [.. labels.Select((_, i) => (i + 1) % seq == 0 ? CrossEntropyKernel.IgnoreIndex : labels[i + 1])];
    }
}
