using System.Diagnostics;
using System.Globalization;
using Delora.Autograd;
using Delora.Bench.Compare;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Bench;

/// <summary>
/// Whole training steps of language models with random weights: forward, backward, gradient norm and optimizer, DeLoRA on all linear layers. Of the
/// shape of stories260k (batch 8 × 128) and of a Llama of 135 million parameters (batch 1 × 256).
/// </summary>
internal static class StepRun
{
    private static readonly (string Name, int MaxPositions, int Steps)[] s_models = [("stories260k", 512, 60), ("llama-135m", 2048, 5)];

    internal static int Run(string filter, bool checkpointing = false)
    {
        Validate(Devices.Cpu, checkpointing);
        Console.WriteLine($"{Devices.Cpu}; medians, DeLoRA on all linear layers{(checkpointing ? ", layers computed again on the way back" : "")}");
        Console.WriteLine($"{"model, batch × length, rank",-34}{"parameters",13}{"trained",12}{"step",12}{"tokens/s",12}{"peak memory",14}");
        foreach ((string name, int positions, int steps) in s_models)
        {
            ModelShape shape = ModelShape.Get(name);
            (int batch, int length, int rank) = (shape.Batch, shape.Length, shape.Rank);
            LlamaConfig config = OwnStep.Config(shape) with { MaxPositionEmbeddings = positions };
            if (!name.Contains(filter, StringComparison.OrdinalIgnoreCase)) continue;
            using Side side = new(Devices.Cpu, config, batch, length, rank, checkpointing);
            for (int i = 0; i < 3; i++) side.Step();
            Devices.Cpu.Memory.ResetPeak();
            double[] times = new double[steps];
            for (int i = 0; i < steps; i++)
            {
                long start = Stopwatch.GetTimestamp();
                side.Step();
                times[i] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }
            double median = LayerRun.Median(times);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{$"{name}, {batch} × {length}, {rank}",-34}{config.ParameterCount,13:N0}{side.Trained,12:N0}{median,9:F1} ms{batch * length / median * 1000,12:N0}"
                + $"{Devices.Cpu.Memory.Statistics.PeakBytesInUse / (double)(1 << 20),10:F0} MiB"));
        }
        return 0;
    }

    /// <summary>Gradients of a small model against the float64 reference, at odd sizes.</summary>
    /// <param name="own">The device.</param>
    /// <param name="checkpointing">Whether layers are computed again on the way back.</param>
    /// <param name="tolerance">The largest difference over the largest gradient.</param>
    internal static void Validate(Device own, bool checkpointing = false, double tolerance = 1e-4)
    {
        // Heads of 8 and more than 16 tokens: attention takes the tensor cores where products are rounded.
        LlamaConfig config = new()
        {
            VocabSize = 67,
            HiddenSize = 48,
            IntermediateSize = 50,
            NumHiddenLayers = 2,
            NumAttentionHeads = 6,
            NumKeyValueHeads = 2,
            InitializerRange = 0.1,
        };
        double[][] results = [.. ((Device[])[Devices.Reference, own]).Select(device =>
        {
            using Side side = new(device, config, 2, 19, 3, checkpointing);
            return side.Gradients();
        })];
        var difference = Difference.Of(results[0], results[1]);
        if (!difference.IsWithin(tolerance))
            throw new InvalidOperationException($"A gradient is off by {difference.Error}, the largest is {difference.Largest}: nothing is timed.");
    }

    /// <summary>A model with an adapter, an optimizer and a batch.</summary>
    private sealed class Side : IDisposable
    {
        private readonly LlamaForCausalLM _model;
        private readonly PeftModel _peft;
        private readonly AdamW _optimizer;
        private readonly Tensor _ids, _targets;

        internal Side(Device device, LlamaConfig config, int batch, int length, int rank, bool checkpointing = false)
        {
            var random = new Generator(7);
            _model = LlamaForCausalLM.Create(config, device, random);
            _model.Checkpointing = checkpointing;
            _peft = new PeftModel(_model);
            _peft.AddAdapter(new DeloraConfig { R = rank, TargetModules = ModuleSelector.AllLinear, ResidualInitialization = true }, random);
            _optimizer = new AdamW(_peft.TrainableParameters().Select(entry => entry.Parameter), 1e-3);
            _ids = Ids();
            _targets = Ids();

            Tensor Ids() =>
                Tensor.From(Enumerable.Range(0, batch * length).Select(_ => random.NextInt(config.VocabSize)).ToArray(), [batch, length], device, "ids");
        }

        internal long Trained => _optimizer.ElementCount;

        internal void Step()
        {
            Backward();
            _optimizer.Step(maxGradientNorm: 1);
        }

        internal double[] Gradients()
        {
            Backward();
            return _optimizer.Gradients[0].ToArray<double>();
        }

        public void Dispose()
        {
            _optimizer.Dispose();
            _peft.Dispose();
            _model.Dispose();
            _ids.Dispose();
            _targets.Dispose();
        }

        private void Backward()
        {
            _optimizer.ZeroGradients();
            using var tape = new Tape();
            tape.Backward(_model.Loss(_ids, _targets));
        }
    }
}
