using BenchmarkDotNet.Attributes;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Ops;

/// <summary>Causal attention in training, and of one token in decoding.</summary>
public class AttentionBenchmarks : OpBenchmarks
{
    private Tensor _query = null!, _key = null!, _value = null!, _result = null!, _z = null!, _dy = null!;
    private AttentionOptions _options;
    private Tensor _y = null!, _logSumExp = null!, _dquery = null!, _dkey = null!, _dvalue = null!;

    /// <summary>Batch, queries, keys, heads, heads of keys and values, dim, and where there is one the window.</summary>
    public override IEnumerable<BenchShape> Shapes =>
    [
        new("tiny", 8, 128, 128, 8, 4, 8), new("smollm", 1, 256, 256, 9, 3, 64), new("gpt2", 4, 128, 128, 12, 12, 64),
        new("small", 16, 128, 128, 8, 4, 32), new("decoding", 1, 1, 2048, 9, 3, 64),
        new("window", 1, 2048, 2048, 4, 2, 64, 256),
    ];

    protected override BenchShape ValidationShape => new("odd", 2, 33, 71, 6, 2, 17, 40);

    // Rounded are probabilities, at most 1, and gradients of scores, both to 8 bits, before they are multiplied with numbers of at most 2 and summed.
    protected override (BenchShape Shape, double Tolerance)? Rounded => (new("odd", 2, 33, 71, 6, 2, 24, 40), 4.0 / 256);

    protected override void Prepare(BenchShape shape)
    {
        int[] of = shape.Dims;
        Shape queries = [of[0], of[1], of[3], of[5]], keys = [of[0], of[2], of[4], of[5]];
        _options = new() { Window = WindowOf(shape) };
        _query = Input(queries, -2, 2);
        _key = Input(keys, -2, 2);
        _value = Input(keys);
        _dy = Input(queries);
        _result = Track(Tensor.Empty(queries, Device.FloatType, Device, "benchmark input"));
        _z = Track(Tensor.Empty(AttentionKernel.StatisticsShape(_query), Device.FloatType, Device, "benchmark input"));
        AttentionKernel.Forward(_query, _key, _value, null, _result, _z, _options);
        _y = Output(queries);
        _logSumExp = Output(_z.Shape);
        _dquery = Output(queries);
        _dkey = Output(keys);
        _dvalue = Output(keys);
    }

    [Benchmark]
    public void Forward()
    {
        AttentionKernel.Forward(_query, _key, _value, null, _y, _logSumExp, _options);
        Finish();
    }

    [Benchmark]
    public void Backward()
    {
        AttentionKernel.Backward(_query, _key, _value, null, _result, _z, _dy, _dquery, _dkey, _dvalue, _options);
        Finish();
    }

    /// <summary>Two products forward, five backward, over the pairs that see each other.</summary>
    public override Work WorkOf(string benchmark, BenchShape shape)
    {
        int[] of = shape.Dims;
        double seen = Enumerable.Range(of[2] - of[1] + 1, of[1]).Sum(keys => (double)Math.Min(keys, WindowOf(shape) ?? keys));
        double pairs = of[0] * of[3] * seen;
        double queries = (double)of[0] * of[1] * of[3] * of[5], keys = (double)of[0] * of[2] * of[4] * of[5];
        return benchmark == nameof(Forward)
            ? new(4 * of[5] * pairs, sizeof(float) * (2 * queries + 2 * keys))
            : new(10 * of[5] * pairs, sizeof(float) * (4 * queries + 4 * keys));
    }

    private static int? WindowOf(BenchShape shape) => shape.Dims.Length > 6 ? shape.Dims[6] : null;
}
