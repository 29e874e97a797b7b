using System.Text.Json;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Golden;

/// <summary>Fine-tuning of a model with real weights on real text, by PEFT: every loss, the gradient norms, the final adapter and its evaluation.</summary>
[Trait("Category", "Golden")]
public sealed class GoldenFineTuneTests
{
    private const string Category = "finetune";

    public static TheoryData<string, string> Runs
    {
        get
        {
            SharedFolder folder = SharedModels.GoldenFolder(Category);
            if (folder.SkipReason is { } reason) return [new TheoryDataRow<string, string>(Category, "") { Skip = reason }];
            var rows = new TheoryData<string, string>();
            foreach (string path in Directory.GetDirectories(folder.Path).Order(StringComparer.Ordinal))
                // A run without tensors is a figure to compare with.
                foreach (JsonProperty run in Case(path).GetProperty("runs").EnumerateObject())
                    if (run.Value.TryGetProperty("tolerances", out _)) rows.Add(Path.GetFileName(path), run.Name);
            return rows.Count > 0 ? rows : throw new InvalidDataException($"The golden category {folder.Path} holds no run.");
        }
    }

    [Theory, MemberData(nameof(Runs))]
    public void EveryLossAndTheFinalAdapterAgreeWithPeft(string name, string runName)
    {
        using var run = new Run(name, runName);
        foreach (TheoryDataRow<string> device in TestDevices.CpuNames)
            if (device.Skip is null) run.Train(TestDevices.Get(device.Data), run.Case.GetProperty("compare_until_step").GetInt32(), "train_losses", 1);
    }

    /// <summary>In float64 the distance is that of PEFT's own float64 run: smaller than float32's by far. A few steps, because it is slow.</summary>
    [Theory, MemberData(nameof(Runs))]
    public void TheFirstLossesAgreeInFloat64(string name, string runName)
    {
        using var run = new Run(name, runName);
        run.Train(Devices.Reference, 2, "train_losses_float64", 0.1);
    }

    private static JsonElement Case(string folder)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "case.json")));
        return document.RootElement.Clone();
    }

    private sealed class Run : IDisposable
    {
        private readonly string _folder, _name, _start = Directory.CreateTempSubdirectory("delora-test-").FullName;

        internal Run(string caseName, string runName)
        {
            _folder = Path.Combine(SharedModels.GoldenFolder(Category).PathOrSkip(), caseName);
            _name = runName;
            Case = GoldenFineTuneTests.Case(_folder).GetProperty("runs").GetProperty(runName);
            File.Copy(Path.Combine(_folder, _name, AdapterConfig.FileName), Path.Combine(_start, AdapterConfig.FileName));
            File.Copy(Path.Combine(_folder, $"{_name}.init.safetensors"), Path.Combine(_start, PeftModel.WeightsFileName));
        }

        internal JsonElement Case { get; }

        public void Dispose() => Directory.Delete(_start, recursive: true);

        internal void Train(Device device, int steps, string losses, double share)
        {
            string modelName = AdapterConfig.Load(Path.Combine(_start, AdapterConfig.FileName)).BaseModelNameOrPath!;
            using CausalLanguageModel model = CausalLanguageModel.Load(SharedModels.Folder(modelName).PathOrSkip(), device, strict: true);
            using var peft = new PeftModel(model);
            peft.Load(_start, trainable: true);
            Parameter[] parameters = [.. peft.TrainableParameters().Select(entry => entry.Parameter)];
            Assert.Equal(Case.GetProperty("trainable").GetInt64(), parameters.Sum(parameter => parameter.Value.ElementCount));
            (int[] ids, Shape shape) = Batches("train_batches");
            bool whole = steps == Case.GetProperty("train_losses").GetArrayLength();
            if (device is CpuDevice) Compare("eval_loss_before", Evaluate(model), 1e-5);
            using var optimizer = new AdamW(parameters, Case.GetProperty("lr").GetDouble(), weightDecay: Case.GetProperty("weight_decay").GetDouble());
            double clip = Case.GetProperty("clip_grad_norm").GetDouble();
            for (int step = 0; step < steps; step++)
            {
                optimizer.ZeroGradients();
                using (var tape = new Tape())
                {
                    Tensor loss = Loss(model, ids.AsSpan(step * shape[1] * shape[2], shape[1] * shape[2]), shape[2]);
                    tape.Backward(loss);
                    double tolerance = share * Case.GetProperty("tolerances").GetProperty("train_losses_abs")[step].GetDouble();
                    Assert.Equal(Case.GetProperty(losses)[step].GetDouble(), loss.ToScalar(), tolerance);
                }
                if (clip > 0 && step == 0)
                {
                    // No tolerance is stated for the norms: the first is compared, before anything could amplify rounding.
                    double norm = Case.GetProperty("grad_norms")[0].GetDouble();
                    Assert.Equal(norm, optimizer.GradientNorm(), norm * 1e-4);
                }
                optimizer.Step(clip);
            }
            if (!whole || device is not CpuDevice) return;
            Compare("eval_loss_after", Evaluate(model), Case.GetProperty("tolerances").GetProperty("eval_loss_after_abs").GetDouble());
            CompareAdapter(peft);
        }

        private void CompareAdapter(PeftModel peft)
        {
            string saved = Path.Combine(_start, "saved");
            peft.Save(saved);
            using SafetensorsFile want = SafetensorsFile.Open(Path.Combine(_folder, _name, PeftModel.WeightsFileName)), got = PeftModel.OpenWeights(saved);
            using var scope = new TensorScope("compare adapters");
            Assert.Equal(want.Entries.Select(entry => entry.Name), got.Entries.Select(entry => entry.Name));
            JsonElement tolerances = Case.GetProperty("tolerances").GetProperty("final_tensor_max_abs");
            foreach (SafetensorsEntry entry in want.Entries)
            {
                double[] values = want.ReadFloat(entry.Name, Devices.Cpu).ToArray<double>();
                string? difference = GoldenCase.FirstDifference(entry.Name, got.ReadFloat(entry.Name, Devices.Cpu).ToArray<double>(),
                    new GoldenTensor(entry.Shape, values), tolerances.GetProperty(entry.Name).GetDouble(), 0);
                Assert.True(difference is null, difference);
            }
        }

        private double Evaluate(CausalLanguageModel model)
        {
            (int[] ids, Shape shape) = Batches("eval_batches");
            using var scope = new TensorScope("evaluation");
            return Loss(model, ids, shape[1]).ToScalar();
        }

        private void Compare(string field, double got, double tolerance) => Assert.Equal(Case.GetProperty(field).GetDouble(), got, tolerance);

        /// <summary>The first ids of a row are the input, the last the targets.</summary>
        private static Tensor Loss(CausalLanguageModel model, ReadOnlySpan<int> ids, int width)
        {
            int[][] rows = [.. ids.ToArray().Chunk(width)];
            Shape shape = [rows.Length, width - 1];
            return model.Loss(Tensor.From(rows.SelectMany(row => row[..^1]).ToArray(), shape, model.Device, "inputs"),
                Tensor.From(rows.SelectMany(row => row[1..]).ToArray(), shape, model.Device, "targets"));
        }

        private (int[] Ids, Shape Shape) Batches(string name)
        {
            using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(_folder, "batches.safetensors"));
            using Tensor tensor = file.Read(name, Devices.Cpu);
            return ([.. tensor.ToArray<long>().Select(id => checked((int)id))], tensor.Shape);
        }
    }
}
