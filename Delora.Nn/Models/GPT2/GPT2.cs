using System.Globalization;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// GPT-2 (Radford et al., "Language Models are Unsupervised Multitask Learners", 2019): embeddings of tokens and of positions, layers of attention
/// and feed-forward part with a layer norm in front of each, a last norm, scores of the vocabulary. Modules have the names that transformers
/// gives them; the weights of its <c>Conv1D</c> layers are stored [in, out].
/// </summary>
public sealed class GPT2LMHeadModel : CausalLanguageModel
{
    private const string Prefix = "transformer.";

    private readonly GPT2Model _model;
    private readonly Linear _head;

    private GPT2LMHeadModel(GPT2Config config, Device device, WeightSource weights) : base(device)
    {
        Config = config;
        if (config.TieWordEmbeddings)
        {
            _head = weights.TiedOutput("transformer.wte.weight");
            _model = new GPT2Model(config, new Embedding(_head), weights.Within("transformer"));
        }
        else
        {
            _head = weights.Linear("lm_head", isOutput: true);
            _model = new GPT2Model(config, new Embedding(weights.Take("transformer.wte.weight")), weights.Within("transformer"));
        }
        Register("transformer", _model);
        Register("lm_head", _head);
    }

    /// <inheritdoc/>
    public override GPT2Config Config { get; }

    /// <inheritdoc/>
    public override TargetOptions Targets { get; } = new() { DefaultTargets = (string[])["c_attn"], OutputModule = "lm_head" };

    /// <summary>
    /// A model with new weights: normal with the configuration's standard deviation, smaller by √(2 · n_layer) where a layer adds to the
    /// features; norms of ones, biases of zeros.
    /// </summary>
    /// <exception cref="DeloraFormatException">A field of the configuration is wrong.</exception>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    public static GPT2LMHeadModel Create(GPT2Config config, Device device, Generator generator)
    {
        using var scope = new TensorScope("create model");
        return new GPT2LMHeadModel(config, device, WeightSource.Gather(config.TensorShapes(), Make));

        Tensor Make(string name, Shape shape)
        {
            if (name.EndsWith("bias", StringComparison.Ordinal)) return Tensor.Zeros(shape, device.FloatType, device, name);
            if (shape.Rank == 1) return Tensor.From(Enumerable.Repeat(1f, shape[0]).ToArray(), shape, device, name);
            bool adds = name.EndsWith(".c_proj.weight", StringComparison.Ordinal);
            double deviation = config.InitializerRange / (adds ? Math.Sqrt(2 * config.NumHiddenLayers) : 1);
            return Initialization.Normal(shape, deviation, device, generator, name);
        }
    }

    /// <inheritdoc/>
    public override KeyValueCache CreateCache(int batch, int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(capacity, Config.MaxPositionEmbeddings);
        return new KeyValueCache(Config.NumHiddenLayers, batch, capacity, Config.NumAttentionHeads, Config.HeadSize, Device);
    }

    /// <summary>Reads a model from open files; it is frozen. Published files name the tensors without <c>transformer.</c> in front.</summary>
    internal static GPT2LMHeadModel Load(GPT2Config config, WeightFiles files, Device device)
    {
        IReadOnlyDictionary<string, Shape> shapes = config.TensorShapes();
        bool isBare = !files.Contains("transformer.wte.weight") && files.Contains("wte.weight");
        files.Check(shapes.ToDictionary(pair => InFile(pair.Key), pair => pair.Value), IsIdle);
        return WeightSource.Load(shapes, files, device, weights => new GPT2LMHeadModel(config, device, weights), InFile);

        string InFile(string name) => isBare && name.StartsWith(Prefix, StringComparison.Ordinal) ? name[Prefix.Length..] : name;

        // Causal masks, which early versions saved with each layer, and a tied output layer.
        bool IsIdle(string name) =>
            name.EndsWith(".attn.bias", StringComparison.Ordinal) || name.EndsWith(".attn.masked_bias", StringComparison.Ordinal)
            || (config.TieWordEmbeddings && name == "lm_head.weight");
    }

    private protected override Tensor Hidden(Tensor ids, Tensor? mask, KeyValueCache? cache, Tensor? positions)
    {
        CheckSequence(ids, cache);
        if (positions is not null) Check.HasShape(nameof(GPT2LMHeadModel), positions, ids.Shape);
        return _model.Forward(ids, mask, cache, positions, Checkpointing ? this : null);    // [batch, seq, hidden]
    }

    private protected override Tensor Logits(Tensor hidden) => _head.Forward(hidden);    // [.., vocabulary]

    private protected override Tensor HiddenLoss(Tensor hidden, Tensor targets) => _head.CrossEntropy(hidden, targets);    // []
}

/// <summary>The layers, without the scores of the vocabulary.</summary>
internal sealed class GPT2Model : Module
{
    private readonly Embedding _tokens, _positions;
    private readonly GPT2Block[] _layers;
    private readonly LayerNorm _norm;

    internal GPT2Model(GPT2Config config, Embedding tokens, WeightSource weights)
    {
        _tokens = Register("wte", tokens);
        _positions = Register("wpe", new Embedding(weights.Take("wpe.weight")));
        _layers = new GPT2Block[config.NumHiddenLayers];
        var layers = Register("h", new ModuleList());
        for (int i = 0; i < _layers.Length; i++)
            _layers[i] = layers.Add(new GPT2Block(config, i, weights.Within(string.Create(CultureInfo.InvariantCulture, $"h.{i}"))));
        _norm = Register("ln_f", weights.LayerNorm("ln_f", config.LayerNormEpsilon));
    }

    internal Tensor Forward(Tensor ids, Tensor? mask, KeyValueCache? cache, Tensor? positions, PretrainedModel? checkpointed)
    {
        positions ??= Counted(ids, cache?.Length ?? 0);                   // [batch, seq]
        Tensor x = _tokens.Forward(ids).Add(_positions.Forward(positions));    // [batch, seq, hidden]
        foreach (GPT2Block layer in _layers) x = LayerCheckpoint.Run(x, checkpointed, h => layer.Forward(h, mask, cache));
        return _norm.Forward(x);
    }

    /// <summary>start, start + 1, … for each sequence.</summary>
    private static Tensor Counted(Tensor ids, int start)
    {
        int seq = ids.Shape[1];
        var positions = new int[ids.ElementCount];
        for (int i = 0; i < positions.Length; i++) positions[i] = start + i % seq;
        return Tensor.FromIndices(positions, ids.Shape, ids.Device, "positions");
    }
}

/// <summary>x + attention(norm(x)), then x + feed-forward(norm(x)).</summary>
internal sealed class GPT2Block : Module
{
    private readonly LayerNorm _attentionNorm, _mlpNorm;
    private readonly GPT2Attention _attention;
    private readonly GPT2Mlp _mlp;

    internal GPT2Block(GPT2Config config, int number, WeightSource weights)
    {
        _attentionNorm = Register("ln_1", weights.LayerNorm("ln_1", config.LayerNormEpsilon));
        _attention = Register("attn", new GPT2Attention(config, number, weights.Within("attn")));
        _mlpNorm = Register("ln_2", weights.LayerNorm("ln_2", config.LayerNormEpsilon));
        _mlp = Register("mlp", new GPT2Mlp(config, weights.Within("mlp")));
    }

    internal Tensor Forward(Tensor x, Tensor? mask, KeyValueCache? cache)
    {
        x = _attention.Forward(_attentionNorm.Forward(x), mask, cache, x);    // [batch, seq, hidden]
        return _mlp.Forward(_mlpNorm.Forward(x), x);
    }
}

/// <summary>Causal attention, and what goes around it; one projection makes queries, keys and values.</summary>
internal sealed class GPT2Attention : Module
{
    private readonly Linear _joint, _output;
    private readonly int _layer, _heads, _dim;
    private readonly double _scale;

    internal GPT2Attention(GPT2Config config, int layer, WeightSource weights)
    {
        (_layer, _heads, _dim) = (layer, config.NumAttentionHeads, config.HeadSize);
        _scale = (config.ScaleAttentionWeights ? 1 / Math.Sqrt(_dim) : 1) / (config.ScaleAttentionByInverseLayerIndex ? layer + 1 : 1);
        _joint = Register("c_attn", weights.Conv1D("c_attn"));
        _output = Register("c_proj", weights.Conv1D("c_proj"));
    }

    internal Tensor Forward(Tensor x, Tensor? mask, KeyValueCache? cache, Tensor around)
    {
        int batch = x.Shape[0], seq = x.Shape[1], hidden = _heads * _dim, end = (cache?.Length ?? 0) + seq;
        Tensor[] parts = _joint.Forward(x).Split(2, hidden, hidden, hidden);           // 3 × [batch, seq, hidden]
        Tensor query = Heads(parts[0]), key = Heads(parts[1]), value = Heads(parts[2]);
        if (cache is not null) (key, value) = cache.Write(_layer, key, value);         // [batch, capacity, heads, dim]
        Tensor y = query.Attention(key, value, mask, causal: true, keys: end, scale: _scale);    // [batch, seq, heads, dim]
        return _output.Forward(y.Reshape([batch, seq, hidden]), ActivationKind.None, around);    // [batch, seq, hidden]

        Tensor Heads(Tensor part) => part.Reshape([batch, seq, _heads, _dim]);
    }
}

/// <summary>c_proj(f(c_fc(x))), and what goes around it.</summary>
internal sealed class GPT2Mlp : Module
{
    private readonly Linear _up, _down;
    private readonly ActivationKind _activation;

    internal GPT2Mlp(GPT2Config config, WeightSource weights)
    {
        _activation = HiddenActivation.Of(config.ActivationFunction);
        _up = Register("c_fc", weights.Conv1D("c_fc"));
        _down = Register("c_proj", weights.Conv1D("c_proj"));
    }

    internal Tensor Forward(Tensor x, Tensor around) => _down.Forward(_up.Forward(x, _activation), ActivationKind.None, around);
}
