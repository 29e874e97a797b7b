using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn.Models;

/// <summary>
/// The decoder again, one token and one head at a time in float64 and without any kernel: what the papers say, from the weights by name.
/// </summary>
internal sealed class PlainDecoder
{
    private readonly Dictionary<string, double[]> _weights;
    private readonly DecoderConfig _config;
    private readonly int _dim;

    internal PlainDecoder(DecoderForCausalLM model, DecoderConfig config)
    {
        _config = config;
        _dim = config.HeadDim ?? config.HiddenSize / config.NumAttentionHeads;
        using var scope = new TensorScope("weights");
        _weights = model.NamedState().ToDictionary(entry => entry.Name, entry => entry.State.Read().ToArray<double>());
    }

    /// <summary>Which layers see how much; null for all.</summary>
    internal required Func<int, int?> Window { get; init; }

    /// <summary>f_i, radians a position.</summary>
    internal required Func<int, double> Frequency { get; init; }

    internal double CosineFactor { get; init; } = 1;

    /// <summary>Gemma: norms of 1 + weight, embeddings times √hidden, GELU by its tanh approximation instead of SiLU.</summary>
    internal bool IsGemma { get; init; }

    /// <summary>Scores [seq, vocabulary] of one sequence; padding is 0 in the mask.</summary>
    internal double[] Logits(int[] ids, int[] mask)
    {
        int hidden = _config.HiddenSize;
        double[][] x = [.. ids.Select(id => _weights["model.embed_tokens.weight"][(id * hidden)..((id + 1) * hidden)])];
        if (IsGemma) x = [.. x.Select(row => row.Select(value => value * Math.Sqrt(hidden)).ToArray())];
        for (int layer = 0; layer < _config.NumHiddenLayers; layer++)
        {
            string name = $"model.layers.{layer}.";
            double[][] attended = Attention(name + "self_attn.", [.. x.Select(row => Norm(row, name + "input_layernorm"))], mask, Window(layer));
            for (int t = 0; t < x.Length; t++)
            {
                x[t] = Plus(x[t], attended[t]);
                double[] normed = Norm(x[t], name + "post_attention_layernorm");
                double[] gate = Linear(normed, name + "mlp.gate_proj"), up = Linear(normed, name + "mlp.up_proj");
                x[t] = Plus(x[t], Linear([.. gate.Zip(up, (g, u) => Activation(g) * u)], name + "mlp.down_proj"));
            }
        }
        string head = _config.TieWordEmbeddings ? "model.embed_tokens" : "lm_head";
        return [.. x.SelectMany(row => Linear(Norm(row, "model.norm"), head))];
    }

    private double[][] Attention(string name, double[][] x, int[] mask, int? window)
    {
        int heads = _config.NumAttentionHeads, shared = _config.NumKeyValueHeads ?? heads;
        double[][] q = Heads("q", heads), k = Heads("k", shared), v = [.. x.Select(row => Linear(row, name + "v_proj"))];
        return [.. x.Select((_, t) => Linear([.. Enumerable.Range(0, heads).SelectMany(h => Head(h, t))], name + "o_proj"))];

        double[][] Heads(string part, int count) => [.. x.Select((row, t) =>
        {
            double[] all = Linear(row, $"{name}{part}_proj");
            return Enumerable.Range(0, count).SelectMany(h =>
            {
                double[] one = all[(h * _dim)..((h + 1) * _dim)];
                return Turn(_weights.ContainsKey($"{name}{part}_norm.weight") ? Norm(one, $"{name}{part}_norm") : one, t);
            }).ToArray();
        })];

        double[] Head(int head, int t)
        {
            int from = head / (heads / shared) * _dim;
            int[] seen = [.. Enumerable.Range(0, t + 1).Where(j => mask[j] != 0 && (window is null || t - j < window))];
            double[] weights = [.. seen.Select(j => Math.Exp(
                Enumerable.Range(0, _dim).Sum(c => q[t][head * _dim + c] * k[j][from + c]) / Math.Sqrt(_dim)))];
            return [.. Enumerable.Range(0, _dim).Select(c => seen.Length == 0 ? 0 : seen.Select((j, i) => weights[i] * v[j][from + c]).Sum() / weights.Sum())];
        }
    }

    private double[] Turn(double[] x, int position)
    {
        var y = new double[_dim];
        for (int i = 0; i < _dim / 2; i++)
        {
            (double sin, double cos) = Math.SinCos(position * Frequency(i));
            y[i] = CosineFactor * (x[i] * cos - x[i + _dim / 2] * sin);
            y[i + _dim / 2] = CosineFactor * (x[i + _dim / 2] * cos + x[i] * sin);
        }
        return y;
    }

    private double[] Norm(double[] x, string name)
    {
        double scale = 1 / Math.Sqrt(x.Sum(value => value * value) / x.Length + _config.RmsNormEps);
        return [.. x.Zip(_weights[$"{name}.weight"], (value, weight) => value * scale * (IsGemma ? 1 + weight : weight))];
    }

    private double Activation(double x) =>
        IsGemma ? x / 2 * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))) : x / (1 + Math.Exp(-x));

    private double[] Linear(double[] x, string name)
    {
        double[] weight = _weights[$"{name}.weight"];
        double[]? bias = _weights.GetValueOrDefault($"{name}.bias");
        var y = new double[weight.Length / x.Length];
        for (int o = 0; o < y.Length; o++)
        {
            y[o] = bias?[o] ?? 0;
            for (int i = 0; i < x.Length; i++) y[o] += weight[o * x.Length + i] * x[i];
        }
        return y;
    }

    private static double[] Plus(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];
}
