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
            run.Load("adapter_two", "default");
            run.CompareLogits("logits_default");
            run.CompareLoss("loss_default");
            run.Load(Path.Combine("adapter_two", "other"), "other");
            run.CompareLogits("logits_other");
            run.CompareLoss("loss_other");
            run.Peft.Activate("default", "other");
            run.CompareLogits("logits_default_and_other");
            run.Peft.Activate("default");
            run.CompareLogits("logits_default_again");
            using (run.Peft.Disable()) run.CompareLogits("logits_disabled");
            run.Load("adapter_trained", "trained");
            run.CompareLogits("logits_trained");
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
                    run.Golden.AssertClose(tensor, state[tensor["merged.".Length..]].Read());
            }
            run.Peft.Unmerge();
            run.CompareLogits("logits_default_again");
        });
    }

    [Theory, MemberData(nameof(GoldenCases.Models), MemberType = typeof(GoldenCases))]
    public void TheMergedFolderThatTransformersWroteComputesTheMergedLogits(string name)
    {
        GoldenCase golden = GoldenCases.Model(name);
        using var run = new Run(golden, Devices.Cpu, "merged");
        run.CompareLogits("logits_merged");
        run.CompareLoss("loss_merged");
    }

    [Theory, MemberData(nameof(GoldenCases.Models), MemberType = typeof(GoldenCases))]
    public void GradientsAndTrainingAgreeWithPeft(string name) => ForEveryDevice(name, Train);

    [Theory, MemberData(nameof(GoldenCases.Models), MemberType = typeof(GoldenCases))]
    public void SavedFoldersAreThoseOfPeftAndTransformers(string name)
    {
        GoldenCase golden = GoldenCases.Model(name);
        using var run = new Run(golden, Devices.Cpu);
        string folder = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        try
        {
            run.Model.Save(Path.Combine(folder, "base"));
            AssertSameTensors(Path.Combine(golden.Folder, "base", WeightFiles.SingleName), Path.Combine(folder, "base", WeightFiles.SingleName));
            AssertSameFields(Path.Combine(golden.Folder, "base", ModelConfig.FileName), Path.Combine(folder, "base", ModelConfig.FileName));
            run.Load("adapter_two", "default");
            run.Load(Path.Combine("adapter_two", "other"), "other");
            run.Peft.Save(Path.Combine(folder, "adapter_two"));
            foreach (string part in (string[])["", "other"])
            {
                string want = Path.Combine(golden.Folder, "adapter_two", part), got = Path.Combine(folder, "adapter_two", part);
                AssertSameTensors(Path.Combine(want, PeftModel.WeightsFileName), Path.Combine(got, PeftModel.WeightsFileName));
                AssertSameFields(Path.Combine(want, AdapterConfig.FileName), Path.Combine(got, AdapterConfig.FileName));
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
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

        // Lists of modules are sets in Python, whose order is another one in every run.
        static JsonElement Sorted(JsonElement value) => value.ValueKind == JsonValueKind.Array
            ? JsonSerializer.SerializeToElement(value.EnumerateArray().Select(e => e.GetString()).Order(StringComparer.Ordinal))
            : value;
    }

    /// <summary>The case's base model on a device, with its inputs.</summary>
    private sealed class Run : IDisposable
    {
        private readonly int[] _mask;
        private readonly Tensor _ids, _maskTensor, _targets;

        internal Run(GoldenCase golden, Device device, string folder = "base")
        {
            Golden = golden;
            Model = CausalLanguageModel.Load(Path.Combine(golden.Folder, folder), device, strict: true);
            Peft = new PeftModel(Model);
            _mask = golden["attention_mask"].Integers;
            Shape shape = golden["input_ids"].Shape;
            _ids = Tensor.From(golden["input_ids"].Integers, shape, device, "ids");
            _maskTensor = Tensor.From(_mask, shape, device, "mask");
            _targets = Tensor.From(Targets(golden["labels"].Integers, shape[1]), shape, device, "targets");
        }

        internal GoldenCase Golden { get; }

        internal CausalLanguageModel Model { get; }

        internal PeftModel Peft { get; }

        internal void Load(string folder, string name) => Peft.Load(Path.Combine(Golden.Folder, folder), name, trainable: true);

        internal void CompareLogits(string name)
        {
            using var scope = new TensorScope(name);
            Golden.AssertRowsClose(name, Model.Forward(_ids, _maskTensor), _mask);
        }

        internal void CompareLoss(string name)
        {
            using var scope = new TensorScope(name);
            Golden.AssertClose(name, [Loss().ToScalar()]);
        }

        internal Tensor Loss() => Model.Loss(_ids, _targets, _maskTensor);

        public void Dispose()
        {
            Peft.Dispose();
            Model.Dispose();
            _ids.Dispose();
            _maskTensor.Dispose();
            _targets.Dispose();
        }

        /// <summary>transformers compares the scores at t with the label at t + 1.</summary>
        private static int[] Targets(int[] labels, int seq) =>
            [.. labels.Select((_, i) => (i + 1) % seq == 0 ? CrossEntropyKernel.IgnoreIndex : labels[i + 1])];
    }
}
