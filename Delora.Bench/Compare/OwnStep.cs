using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Bench.Compare;

/// <summary>A whole training step of a language model: forward, cross-entropy, backward, AdamW.</summary>
internal sealed class OwnStep : ICompareWork
{
    private readonly CpuDevice _cpu;
    private readonly IDisposable _model;
    private readonly Func<Tensor, Tensor, Tensor> _loss;
    private readonly AdamW _optimizer;
    private readonly Tensor _ids, _targets;

    internal OwnStep(ModelShape shape, int threads, FrozenWeightOptions? frozen = null) : this(shape, new CpuDevice(threads), frozen)
    {
    }

    private OwnStep(ModelShape shape, CpuDevice cpu, FrozenWeightOptions? frozen)
    {
        frozen ??= FrozenWeightOptions.Default;
        _cpu = cpu;
        IEnumerable<Parameter> trained;
        if (shape.IsLlama)
        {
            PeftModel peft = Llama(shape, _cpu, frozen, out LlamaForCausalLM model);
            (_model, _loss, trained) = (peft, (ids, targets) => model.Loss(ids, targets), peft.TrainableParameters().Select(entry => entry.Parameter));
        }
        else
        {
            var model = new GptModel(shape, _cpu, frozen);
            (_model, _loss, trained) = (model, model.Loss, model.Trained());
        }
        _optimizer = new AdamW(trained, ModelShape.LearningRate, weightDecay: ModelShape.WeightDecay);
        _ids = Tensor.From(shape.Ids(0), [shape.Batch, shape.Length], _cpu, "ids");
        _targets = Tensor.From(shape.Ids(1), [shape.Batch, shape.Length], _cpu, "targets");
    }

    /// <summary>The most bytes that the device had in use since the last call of <see cref="ResetPeak"/>.</summary>
    internal long PeakBytes => _cpu.Memory.Statistics.PeakBytesInUse;

    /// <summary>The most bytes that steps take of the system for tensors, by a device that only counts.</summary>
    internal static long Plan(ModelShape shape, int threads)
    {
        using var cpu = new CpuDevice(threads);
        using OwnStep step = new(shape, (CpuDevice)Devices.Planning(cpu), frozen: null);
        step._cpu.Memory.Trim();
        step.ResetPeak();
        step.Run();
        return step._cpu.Memory.Statistics.PeakBytesReserved;
    }

    internal void ResetPeak() => _cpu.Memory.ResetPeak();

    public void Run() => Step();

    public Dictionary<string, double[]> Results() => new() { ["loss of three steps"] = [Step(), Step(), Step()] };

    public void Dispose()
    {
        _optimizer.Dispose();
        _model.Dispose();
        _ids.Dispose();
        _targets.Dispose();
        _cpu.Dispose();
    }

    private double Step()
    {
        _optimizer.ZeroGradients();
        double value;
        using (var tape = new Tape())
        {
            Tensor loss = _loss(_ids, _targets);
            tape.Backward(loss);
            value = loss.ToScalar();
        }
        _optimizer.Step();
        return value;
    }

    internal static LlamaConfig Config(ModelShape shape) => new()
    {
        VocabSize = shape.Vocabulary,
        HiddenSize = shape.Width,
        IntermediateSize = shape.Intermediate,
        NumHiddenLayers = shape.Layers,
        NumAttentionHeads = shape.Heads,
        NumKeyValueHeads = shape.KeyValueHeads,
        MaxPositionEmbeddings = shape.Length,
        TieWordEmbeddings = true,
        RmsNormEps = ModelShape.NormEpsilon,
        RopeTheta = ModelShape.RopeTheta,
    };

    private static PeftModel Llama(ModelShape shape, Device device, FrozenWeightOptions frozen, out LlamaForCausalLM model)
    {
        model = LlamaForCausalLM.Create(Config(shape), device, new Generator(1));
        foreach ((string name, Parameter parameter) in model.NamedParameters())
            Own.Fill(name is "model.embed_tokens.weight" or "lm_head.weight" ? "embedding.weight" : name, parameter);
        model.Freeze(frozen);
        var peft = new PeftModel(model);
        peft.AddAdapter(
            new DeloraConfig { R = shape.Rank, DeloraLambda = ModelShape.Lambda, TargetModules = ModuleSelector.AllLinear }, new Generator(1));
        foreach ((string name, Module module) in model.NamedModules())
            if (module is Linear { Adapters: { } adapters } && adapters.Names.Contains("default") && adapters["default"] is DeloraAdapter adapter)
            {
                Own.Fill($"{name}.delora_A", adapter.A);
                Own.Fill($"{name}.delora_B", adapter.B);
            }
        return peft;
    }
}
