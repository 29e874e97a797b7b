using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Bench.Compare;

/// <summary>A whole training step of a language model: forward, cross-entropy, backward, AdamW.</summary>
internal sealed class OwnStep : ICompareWork
{
    private readonly Device _device;
    private readonly bool _ownsDevice;
    private readonly IDisposable _model;
    private readonly IDisposable? _base;
    private readonly Func<Tensor, Tensor, Tensor> _loss;
    private readonly AdamW _optimizer;
    private readonly Tensor _ids, _targets;
    private readonly TokenBatch _batch;

    internal OwnStep(ModelShape shape, int threads, FrozenWeightOptions? frozen = null) : this(shape, new CpuDevice(threads), frozen) => _ownsDevice = true;

    /// <summary>On a device that lives on.</summary>
    internal OwnStep(ModelShape shape, Device device, FrozenWeightOptions? frozen = null)
    {
        frozen ??= FrozenWeightOptions.Default;
        _device = device;
        IEnumerable<Parameter> trained;
        if (shape.IsLlama)
        {
            PeftModel peft = Llama(shape, device, frozen, out LlamaForCausalLM model);
            (_model, _base, _loss) = (peft, model, (ids, targets) => model.Loss(ids, targets));
            trained = peft.TrainableParameters().Select(entry => entry.Parameter);
        }
        else
        {
            var model = new GptModel(shape, device, frozen);
            (_model, _loss, trained) = (model, model.Loss, model.Trained());
        }
        _optimizer = new AdamW(trained, ModelShape.LearningRate, weightDecay: ModelShape.WeightDecay);
        _batch = new TokenBatch(shape.Ids(0), shape.Ids(1), [shape.Batch, shape.Length]);
        _ids = Tensor.From(_batch.Ids, _batch.Shape, device, "ids");
        _targets = Tensor.From(_batch.Targets, _batch.Shape, device, "targets");
    }

    /// <summary>The most bytes that the device had in use since the last call of <see cref="ResetPeak"/>.</summary>
    internal long PeakBytes => _device.Memory.Statistics.PeakBytesInUse;

    /// <summary>The most bytes that steps take of the system for tensors, by a device that only counts.</summary>
    internal static long Plan(ModelShape shape, int threads)
    {
        using var cpu = new CpuDevice(threads);
        using Device planning = Devices.Planning(cpu);
        using OwnStep step = new(shape, planning, frozen: null);
        planning.Memory.Trim();
        step.ResetPeak();
        step.Run();
        return planning.Memory.Statistics.PeakBytesReserved;
    }

    internal void ResetPeak() => _device.Memory.ResetPeak();

    /// <summary>A trainer of the model, and what it trains on.</summary>
    internal (Trainer<TokenBatch> Trainer, TokenBatch Batch) Training() => (TokenBatch.Trainer(_optimizer, _loss, _device), _batch);

    /// <summary>Nobody reads the loss: a device that works on its own is not waited for.</summary>
    public void Run() => Step(_ => { });

    public Dictionary<string, double[]> Results() => new() { ["loss of three steps"] = [Loss(), Loss(), Loss()] };

    public void Dispose()
    {
        _optimizer.Dispose();
        _model.Dispose();
        _base?.Dispose();
        _ids.Dispose();
        _targets.Dispose();
        if (_ownsDevice) _device.Dispose();
    }

    private double Loss()
    {
        double value = 0;
        Step(loss => value = loss.ToScalar());
        return value;
    }

    private void Step(Action<Tensor> read)
    {
        _optimizer.ZeroGradients();
        using (var tape = new Tape())
        {
            Tensor loss = _loss(_ids, _targets);
            tape.Backward(loss);
            read(loss);
        }
        _optimizer.Step();
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

    internal static PeftModel Llama(ModelShape shape, Device device, FrozenWeightOptions frozen, out LlamaForCausalLM model)
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
