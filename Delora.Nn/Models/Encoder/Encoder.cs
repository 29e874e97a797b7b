using System.Globalization;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// The layers of BERT (Devlin et al., arXiv 1810.04805) and RoBERTa (Liu et al., arXiv 1907.11692): the sum of three embeddings, layers of
/// attention and feed-forward part with a norm behind each. Modules have the names that transformers gives them.
/// </summary>
internal sealed class Encoder : Module
{
    private readonly EncoderConfig _config;
    private readonly Device _device;
    private readonly EncoderEmbeddings _embeddings;
    private readonly EncoderLayer[] _layers;
    private readonly EncoderPooler? _pooler;

    internal Encoder(EncoderConfig config, Device device, WeightSource weights, EncoderDropout dropout)
    {
        (_config, _device) = (config, device);
        _embeddings = Register("embeddings", new EncoderEmbeddings(config, weights.Within("embeddings"), dropout));
        _layers = new EncoderLayer[config.NumHiddenLayers];
        ModuleList list = Register("encoder", new EncoderPart()).Add("layer", new ModuleList());
        for (int i = 0; i < _layers.Length; i++)
        {
            string number = i.ToString(CultureInfo.InvariantCulture);
            _layers[i] = list.Add(new EncoderLayer(config, weights.Within($"encoder.layer.{number}"), dropout));
        }
        if (config.UsesPooler) _pooler = Register("pooler", new EncoderPooler(weights.Within("pooler")));
    }

    /// <summary>What the encoder computes from: ids, token types, positions and, where there is padding, a mask, each [rows, length].</summary>
    /// <exception cref="ShapeException">The texts are longer than the model takes.</exception>
    /// <exception cref="IndexException">A token type is none of the model's.</exception>
    internal IReadOnlyList<BatchInput> Inputs(EncodedBatch batch)
    {
        Check.Shapes(batch.Length <= _config.MaxTokens,
            $"{_config.Architecture}: {batch.Length} tokens are more than the {_config.MaxTokens} that the model takes");
        // The op itself would only say that an id is no row of a table.
        foreach (int type in batch.TokenTypes)
            if ((uint)type >= (uint)_config.TypeVocabSize)
                throw new IndexException($"{_config.Architecture}: the token type {type} is none of the model's {_config.TypeVocabSize}");
        Shape shape = [batch.Rows, batch.Length];
        List<BatchInput> inputs =
            [new("ids", batch.Ids, shape), new("token types", batch.TokenTypes, shape), new("positions", _config.Positions(batch), shape)];
        if (batch.HasPadding) inputs.Add(new("mask", batch.Mask, shape));
        return inputs;
    }

    /// <summary>The features of the last layer, [rows, length, hidden]; of no meaning where there is padding.</summary>
    /// <param name="inputs">Tensors of <see cref="Inputs"/>.</param>
    /// <param name="checkpointed">The model where its layers are checkpointed; else null.</param>
    internal Tensor Forward(ReadOnlySpan<Tensor> inputs, PretrainedModel? checkpointed)
    {
        Tensor? mask = inputs.Length > 3 ? inputs[3] : null;
        Tensor x = _embeddings.Forward(inputs[0], inputs[1], inputs[2]);                        // [rows, length, hidden]
        foreach (EncoderLayer layer in _layers) x = LayerCheckpoint.Run(x, checkpointed, h => layer.Forward(h, mask));
        return x;
    }

    /// <summary>The features of every row's first token, [rows, hidden].</summary>
    internal Tensor First(Tensor hidden)
    {
        int rows = hidden.Shape[0], length = hidden.Shape[1], dim = hidden.Shape[2];
        Tensor first = Tensor.FromIndices([.. Enumerable.Range(0, rows).Select(row => row * length)], [rows], _device, "first tokens");
        return Functions.Embedding(hidden.Reshape([rows * length, dim]), first);
    }

    /// <summary>tanh(W · first token + b), [rows, hidden]; null where the model has no pooler.</summary>
    internal Tensor? Pooled(Tensor hidden) => _pooler?.Forward(First(hidden));
}

/// <summary>LayerNorm(word + token type + position).</summary>
internal sealed class EncoderEmbeddings : Module
{
    private readonly Embedding _words, _positions, _types;
    private readonly LayerNorm _norm;
    private readonly EncoderDropout _dropout;
    private readonly double _probability;

    internal EncoderEmbeddings(EncoderConfig config, WeightSource weights, EncoderDropout dropout)
    {
        _words = Register("word_embeddings", new Embedding(weights.Take("word_embeddings.weight")));
        _positions = Register("position_embeddings", new Embedding(weights.Take("position_embeddings.weight")));
        _types = Register("token_type_embeddings", new Embedding(weights.Take("token_type_embeddings.weight")));
        _norm = Register("LayerNorm", weights.LayerNorm("LayerNorm", config.LayerNormEps));
        (_dropout, _probability) = (dropout, config.HiddenDropoutProb);
    }

    internal Tensor Forward(Tensor ids, Tensor types, Tensor positions)
    {
        Tensor x = _words.Forward(ids).Add(_types.Forward(types)).Add(_positions.Forward(positions));
        return _dropout.Apply(this, _norm.Forward(x), _probability);
    }
}

/// <summary>x ← norm(x + attention(x)), then norm(x + feed-forward(x)).</summary>
internal sealed class EncoderLayer : Module
{
    private readonly EncoderAttention _attention;
    private readonly EncoderOutput _attentionOutput, _output;
    private readonly Linear _intermediate;
    private readonly ActivationKind _activation;

    internal EncoderLayer(EncoderConfig config, WeightSource weights, EncoderDropout dropout)
    {
        var attention = Register("attention", new EncoderPart());
        _attention = attention.Add("self", new EncoderAttention(config, weights.Within("attention.self")));
        _attentionOutput = attention.Add("output", new EncoderOutput(config, weights.Within("attention.output"), dropout));
        _intermediate = Register("intermediate", new EncoderPart()).Add("dense", weights.Within("intermediate").Linear("dense"));
        _output = Register("output", new EncoderOutput(config, weights.Within("output"), dropout));
        _activation = HiddenActivation.Of(config.HiddenAct);
    }

    internal Tensor Forward(Tensor x, Tensor? mask)
    {
        x = _attentionOutput.Forward(_attention.Forward(x, mask), x);                           // [rows, length, hidden]
        Tensor inner = _intermediate.Forward(x, _activation);                                   // [rows, length, intermediate]
        return _output.Forward(inner, x);
    }
}

/// <summary>Attention of every token to all tokens of its text that are no padding.</summary>
internal sealed class EncoderAttention : Module
{
    private readonly Linear _query, _key, _value;
    private readonly int _heads;

    internal EncoderAttention(EncoderConfig config, WeightSource weights)
    {
        _heads = config.NumAttentionHeads;
        _query = Register("query", weights.Linear("query"));
        _key = Register("key", weights.Linear("key"));
        _value = Register("value", weights.Linear("value"));
    }

    internal Tensor Forward(Tensor x, Tensor? mask)
    {
        int rows = x.Shape[0], length = x.Shape[1], dim = x.Shape[2];
        Shape heads = [rows, length, _heads, dim / _heads];
        Tensor query = _query.Forward(x).Reshape(heads), key = _key.Forward(x).Reshape(heads), value = _value.Forward(x).Reshape(heads);
        return query.Attention(key, value, mask, causal: false).Reshape([rows, length, dim]);   // [rows, length, hidden]
    }
}

/// <summary>norm(W x + b + what goes around).</summary>
internal sealed class EncoderOutput : Module
{
    private readonly Linear _dense;
    private readonly LayerNorm _norm;
    private readonly EncoderDropout _dropout;
    private readonly double _probability;

    internal EncoderOutput(EncoderConfig config, WeightSource weights, EncoderDropout dropout)
    {
        _dense = Register("dense", weights.Linear("dense"));
        _norm = Register("LayerNorm", weights.LayerNorm("LayerNorm", config.LayerNormEps));
        (_dropout, _probability) = (dropout, config.HiddenDropoutProb);
    }

    internal Tensor Forward(Tensor x, Tensor around) => _norm.Forward(EncoderDropout.Acts(this, _probability)
        ? _dropout.Apply(this, _dense.Forward(x), _probability).Add(around)
        : _dense.Forward(x, ActivationKind.None, around));
}

/// <summary>tanh(W x + b) of the first token's features x.</summary>
internal sealed class EncoderPooler : Module
{
    private readonly Linear _dense;

    internal EncoderPooler(WeightSource weights) => _dense = Register("dense", weights.Linear("dense"));

    internal Tensor Forward(Tensor first) => _dense.Forward(first, ActivationKind.Tanh);    // [rows, hidden]
}

/// <summary>A level of names, with parts and nothing of its own.</summary>
internal sealed class EncoderPart : Module
{
    internal T Add<T>(string name, T part) where T : Module => Register(name, part);
}

/// <summary>Dropout of all places of a model from one generator, which a training run can exchange for its own.</summary>
internal sealed class EncoderDropout
{
    internal Generator Generator { get; set; } = new(0);

    internal static bool Acts(Module place, double probability) => place.IsTraining && probability > 0;

    internal Tensor Apply(Module place, Tensor x, double probability) =>
        Acts(place, probability) ? x.Dropout((float)probability, Generator.Reserve(x.ElementCount)) : x;
}
