using System.Globalization;
using Delora.Bench.Compare;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Delora.Bench.Peer;

/// <summary>A decoder with tied embeddings; names of weights are Hugging Face's.</summary>
internal abstract class Network
{
    private readonly Embedding _embedding;

    protected Network(ModelShape shape)
    {
        Shape = shape;
        _embedding = nn.Embedding(shape.Vocabulary, shape.Width);
        Embedding.requires_grad = IsTrained;
        Keep(Embedding);
        using IDisposable noGradient = no_grad();
        using Parameter initial = Torch.Weight("embedding.weight", false, shape.Vocabulary, shape.Width);
        Embedding.copy_(initial);
    }

    internal List<Parameter> Trained { get; } = [];

    protected ModelShape Shape { get; }

    protected Parameter Embedding => _embedding.weight!;

    protected bool IsTrained => Shape.Rank == 0;

    internal abstract Tensor Forward(Tensor ids);

    protected Tensor Embed(Tensor ids) => _embedding.forward(ids);

    protected Parameter Keep(Parameter parameter)
    {
        if (parameter.requires_grad) Trained.Add(parameter);
        return parameter;
    }

    protected DeloraLinear Linear(string name, int @in, int @out, bool bias, int rank)
    {
        var linear = new DeloraLinear(name, @in, @out, bias, rank, IsTrained);
        Trained.AddRange(linear.Trained);
        return linear;
    }

    /// <summary>[batch, seq, heads · dim] → [batch, heads, seq, dim].</summary>
    protected Tensor Heads(Tensor x, int heads) => x.view(Shape.Batch, Shape.Length, heads, -1).transpose(1, 2);

    protected Tensor Attention(Tensor q, Tensor k, Tensor v) =>
        F.scaled_dot_product_attention(q, k, v, is_casual: true).transpose(1, 2).reshape(Shape.Batch, Shape.Length, Shape.Width);
}

/// <summary>GPT-2's layout with separate q, k and v.</summary>
internal sealed class GptNetwork : Network
{
    private readonly Parameter _positions, _normWeight, _normBias;
    private readonly Layer[] _layers;

    internal GptNetwork(ModelShape shape) : base(shape)
    {
        _positions = Keep(Torch.Weight("positions.weight", IsTrained, shape.Length, shape.Width));
        _layers = [.. Enumerable.Range(0, shape.Layers).Select(i => new Layer(this, i.ToString(CultureInfo.InvariantCulture)))];
        _normWeight = Keep(Torch.Weight("norm.weight", IsTrained, shape.Width));
        _normBias = Keep(Torch.Weight("norm.bias", IsTrained, shape.Width));
    }

    internal override Tensor Forward(Tensor ids)
    {
        Tensor x = Embed(ids) + _positions;
        foreach (Layer layer in _layers) x = layer.Forward(x);
        return F.linear(Norm(x, _normWeight, _normBias), Embedding);
    }

    private Tensor Norm(Tensor x, Tensor weight, Tensor bias) => F.layer_norm(x, [Shape.Width], weight, bias, ModelShape.NormEpsilon);

    private sealed class Layer
    {
        private readonly GptNetwork _network;
        private readonly DeloraLinear _q, _k, _v, _o, _up, _down;
        private readonly Parameter _w1, _b1, _w2, _b2;

        internal Layer(GptNetwork network, string number)
        {
            (_network, ModelShape shape) = (network, network.Shape);
            int width = shape.Width;
            _w1 = network.Keep(Torch.Weight($"{number}.norm1.weight", network.IsTrained, width));
            _b1 = network.Keep(Torch.Weight($"{number}.norm1.bias", network.IsTrained, width));
            _q = network.Linear($"{number}.q", width, width, true, shape.Rank);
            _k = network.Linear($"{number}.k", width, width, true, 0);
            _v = network.Linear($"{number}.v", width, width, true, shape.Rank);
            _o = network.Linear($"{number}.o", width, width, true, 0);
            _w2 = network.Keep(Torch.Weight($"{number}.norm2.weight", network.IsTrained, width));
            _b2 = network.Keep(Torch.Weight($"{number}.norm2.bias", network.IsTrained, width));
            _up = network.Linear($"{number}.up", width, shape.Intermediate, true, 0);
            _down = network.Linear($"{number}.down", shape.Intermediate, width, true, 0);
        }

        internal Tensor Forward(Tensor x)
        {
            Tensor n = _network.Norm(x, _w1, _b1);
            int heads = _network.Shape.Heads;
            Tensor q = _network.Heads(_q.Forward(n), heads), k = _network.Heads(_k.Forward(n), heads), v = _network.Heads(_v.Forward(n), heads);
            x = x + _o.Forward(_network.Attention(q, k, v));
            return x + _down.Forward(F.gelu(_up.Forward(_network.Norm(x, _w2, _b2))));
        }
    }
}

/// <summary>Llama as transformers computes it: RMS norm, rotary positions and repeated heads from elementary operations.</summary>
internal sealed class LlamaNetwork : Network
{
    private readonly Parameter _norm;
    private readonly Layer[] _layers;
    private readonly Tensor _cos, _sin;

    internal LlamaNetwork(ModelShape shape) : base(shape)
    {
        _layers = [.. Enumerable.Range(0, shape.Layers).Select(i => new Layer(this, $"model.layers.{i.ToString(CultureInfo.InvariantCulture)}"))];
        _norm = Torch.Weight("model.norm.weight", false, shape.Width);
        int dim = shape.Width / shape.Heads;
        Tensor frequencies = pow(ModelShape.RopeTheta, arange(0, dim, 2, ScalarType.Float32) / -(double)dim);
        Tensor angles = outer(arange(0, shape.Length, ScalarType.Float32), frequencies).repeat(1, 2);    // [seq, dim]
        (_cos, _sin) = (angles.cos(), angles.sin());
    }

    internal override Tensor Forward(Tensor ids)
    {
        Tensor x = Embed(ids);
        foreach (Layer layer in _layers) x = layer.Forward(x);
        return F.linear(Norm(x, _norm), Embedding);
    }

    private static Tensor Norm(Tensor x, Tensor weight) => weight * (x * rsqrt(x.pow(2).mean([-1], true) + ModelShape.NormEpsilon));

    private Tensor Rotate(Tensor x)
    {
        long half = x.shape[^1] / 2;
        return x * _cos + cat([-x.narrow(-1, half, half), x.narrow(-1, 0, half)], -1) * _sin;
    }

    private sealed class Layer
    {
        private readonly LlamaNetwork _network;
        private readonly DeloraLinear _q, _k, _v, _o, _gate, _up, _down;
        private readonly Parameter _w1, _w2;

        internal Layer(LlamaNetwork network, string name)
        {
            (_network, ModelShape shape) = (network, network.Shape);
            int width = shape.Width, shared = width / shape.Heads * shape.KeyValueHeads, rank = shape.Rank;
            _w1 = Torch.Weight($"{name}.input_layernorm.weight", false, width);
            _w2 = Torch.Weight($"{name}.post_attention_layernorm.weight", false, width);
            _q = network.Linear($"{name}.self_attn.q_proj", width, width, false, rank);
            _k = network.Linear($"{name}.self_attn.k_proj", width, shared, false, rank);
            _v = network.Linear($"{name}.self_attn.v_proj", width, shared, false, rank);
            _o = network.Linear($"{name}.self_attn.o_proj", width, width, false, rank);
            _gate = network.Linear($"{name}.mlp.gate_proj", width, shape.Intermediate, false, rank);
            _up = network.Linear($"{name}.mlp.up_proj", width, shape.Intermediate, false, rank);
            _down = network.Linear($"{name}.mlp.down_proj", shape.Intermediate, width, false, rank);
        }

        internal Tensor Forward(Tensor x)
        {
            ModelShape shape = _network.Shape;
            int shared = shape.KeyValueHeads, repeats = shape.Heads / shared;
            Tensor n = Norm(x, _w1);
            Tensor q = _network.Rotate(_network.Heads(_q.Forward(n), shape.Heads)), k = _network.Rotate(_network.Heads(_k.Forward(n), shared));
            Tensor v = _network.Heads(_v.Forward(n), shared);
            x = x + _o.Forward(_network.Attention(q, k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)));
            n = Norm(x, _w2);
            return x + _down.Forward(F.silu(_gate.Forward(n)) * _up.Forward(n));
        }
    }
}
