using System.Globalization;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Bench.Compare;

/// <summary>GPT-2's layout with separate q, k and v and a tied output: for measurements only.</summary>
internal sealed class GptModel : IDisposable
{
    private readonly ModelShape _shape;
    private readonly Linear _head;
    private readonly Embedding _embedding;
    private readonly Parameter _positions;
    private readonly Norm _norm;
    private readonly Layer[] _layers;
    private readonly List<Parameter> _own = [];

    internal GptModel(ModelShape shape, Device device, FrozenWeightOptions frozen)
    {
        _shape = shape;
        _head = new Linear(Own.Weight(device, "embedding.weight", shape.Vocabulary, shape.Width));
        _embedding = new Embedding(_head);
        _positions = Make(device, "positions.weight", shape.Length, shape.Width);
        _layers = [.. Enumerable.Range(0, shape.Layers).Select(i => new Layer(this, device, i.ToString(CultureInfo.InvariantCulture)))];
        _norm = new Norm(this, device, "norm");
        if (shape.Rank == 0) return;
        _head.Freeze(frozen with { Storage = frozen.StorageOf(isOutput: true) });
        foreach (Parameter parameter in _own) parameter.RequiresGradient = false;
        foreach (Layer layer in _layers) layer.Adapt(shape.Rank, frozen);
    }

    internal IEnumerable<Parameter> Trained() => _shape.Rank == 0
        ? [_head.Weight!, .. _own, .. _layers.SelectMany(layer => layer.Linears).SelectMany(linear => (Parameter[])[linear.Weight!, linear.Bias!])]
        : _layers.SelectMany(layer => layer.Linears).Where(linear => linear.Adapters.Names.Any())
            .SelectMany(linear => linear.Adapters["default"].Parameters.Select(pair => pair.Parameter));

    internal Tensor Loss(Tensor ids, Tensor targets)
    {
        Tensor x = _embedding.Forward(ids);                               // [batch, seq, width]
        x = x.Add(Positions(x.Shape[0]));
        foreach (Layer layer in _layers) x = layer.Forward(x);
        return _head.CrossEntropy(_norm.Forward(x), targets);
    }

    public void Dispose()
    {
        foreach (Layer layer in _layers)
            foreach (Linear linear in layer.Linears) linear.Dispose();
        foreach (Parameter parameter in _own) parameter.Dispose();
        _embedding.Dispose();
        _head.Dispose();
    }

    /// <summary>The table of positions for each sequence: rows 0 … length − 1, again and again.</summary>
    private Tensor Positions(int batch)
    {
        int[] rows = [.. Enumerable.Range(0, batch * _shape.Length).Select(i => i % _shape.Length)];
        return ((Tensor)_positions).Embedding(Tensor.FromIndices(rows, [batch, _shape.Length], _positions.Value.Device, "positions"));
    }

    private Parameter Make(Device device, string name, params int[] shape)
    {
        var parameter = new Parameter(name, Own.Weight(device, name, shape));
        _own.Add(parameter);
        return parameter;
    }

    private sealed class Norm(GptModel model, Device device, string name)
    {
        private readonly Parameter _weight = model.Make(device, $"{name}.weight", model._shape.Width);
        private readonly Parameter _bias = model.Make(device, $"{name}.bias", model._shape.Width);

        internal Tensor Forward(Tensor x) => x.LayerNorm(_weight, _bias, ModelShape.NormEpsilon);
    }

    private sealed class Layer
    {
        private readonly GptModel _model;
        private readonly string _number;
        private readonly Linear _q, _k, _v, _o, _up, _down;
        private readonly Norm _norm1, _norm2;

        internal Layer(GptModel model, Device device, string number)
        {
            (_model, _number) = (model, number);
            int width = model._shape.Width, intermediate = model._shape.Intermediate;
            _norm1 = new Norm(model, device, $"{number}.norm1");
            _norm2 = new Norm(model, device, $"{number}.norm2");
            _q = Make("q", width, width);
            _k = Make("k", width, width);
            _v = Make("v", width, width);
            _o = Make("o", width, width);
            _up = Make("up", width, intermediate);
            _down = Make("down", intermediate, width);

            Linear Make(string name, int @in, int @out) =>
                new(Own.Weight(device, $"{number}.{name}.weight", @out, @in), Own.Weight(device, $"{number}.{name}.bias", @out));
        }

        internal IEnumerable<Linear> Linears => [_q, _k, _v, _o, _up, _down];

        internal void Adapt(int rank, FrozenWeightOptions frozen)
        {
            foreach (Linear linear in Linears) linear.Freeze(frozen);
            Own.Adapt(_q, $"{_number}.q", rank);
            Own.Adapt(_v, $"{_number}.v", rank);
        }

        internal Tensor Forward(Tensor x)
        {
            int heads = _model._shape.Heads, batch = x.Shape[0], seq = x.Shape[1], width = x.Shape[2];
            Tensor n = _norm1.Forward(x);
            Tensor y = Heads(_q.Forward(n)).Attention(Heads(_k.Forward(n)), Heads(_v.Forward(n)));    // [batch, seq, heads, dim]
            x = _o.Forward(y.Reshape([batch, seq, width]), ActivationKind.None, x);
            return _down.Forward(_up.Forward(_norm2.Forward(x), ActivationKind.Gelu), ActivationKind.None, x);

            Tensor Heads(Tensor t) => t.Reshape([batch, seq, heads, width / heads]);
        }
    }
}
