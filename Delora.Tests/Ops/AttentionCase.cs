using Delora.Core;
using Delora.Kernels;
using Delora.Kernels.Ptx;

namespace Delora.Tests.Ops;

/// <summary>Where an attention's padding lies.</summary>
public enum AttentionMask
{
    /// <summary>There is no mask.</summary>
    None,

    /// <summary>More in each batch row, before the tokens.</summary>
    Left,

    /// <summary>More in each batch row, after the tokens.</summary>
    Right,

    /// <summary>Here and there.</summary>
    Holes,

    /// <summary>Nothing but padding in the last batch row.</summary>
    All,
}

/// <summary>Sizes of an attention, and its results on any device from the same numbers. Keys beyond the valid ones are NaN.</summary>
internal sealed record AttentionCase(int Batch, int Seq, int Capacity, int Heads, int KvHeads, int Dim)
{
    internal bool Causal { get; init; } = true;

    internal int? Keys { get; init; }

    internal double? Scale { get; init; }

    internal int? Window { get; init; }

    internal AttentionMask Mask { get; init; }

    /// <summary>The type that operands are rounded to, on every device; on GPUs the attention is then that on tensor cores.</summary>
    internal MmaType? Rounding { get; init; }

    private AttentionOptions Options => new() { Causal = Causal, Keys = Keys, Scale = Scale, Window = Window };

    private Shape Queries => [Batch, Seq, Heads, Dim];

    private Shape KeyShape => [Batch, Capacity, KvHeads, Dim];

    /// <summary>y [batch, seq, heads, dim].</summary>
    internal Tensor Forward(Device device) => Forward(device, out _);

    /// <summary>The wanted gradients of query, key and value, one after another.</summary>
    internal Tensor Backward(Device device, bool query, bool key, bool value)
    {
        Tensor y = Forward(device, out Tensor z), dy = Floats(Queries, device, 4);
        Tensor? dq = query ? OpTesting.Output(Queries, device) : null, dk = key ? OpTesting.Output(KeyShape, device) : null;
        Tensor? dv = value ? OpTesting.Output(KeyShape, device) : null;
        Tensor q = Floats(Queries, device, 1, 2), k = KeyRows(device, 2, 2), v = KeyRows(device, 3, 1);
        if (Rounding is { } type && device is GpuDevice gpu)
            TensorCoreAttention.Backward(
                gpu, type, q, k, v, MaskOn(device), z, Products(y, dy), dy, dq, dk, dv, Sizes(q, k, v), (float)(Scale ?? Math.Pow(Dim, -0.5)));
        else AttentionKernel.Backward(q, k, v, MaskOn(device), y, z, dy, dq, dk, dv, Options);
        double[] all = [.. dq?.ToArray<double>() ?? [], .. dk?.ToArray<double>() ?? [], .. dv?.ToArray<double>() ?? []];
        return Tensor.From(all, [all.Length], device);
    }

    /// <summary>
    /// softmax(scale · q kᵀ with −∞ where a key is hidden) · v, in another way than the kernels: a whole matrix for each head.
    /// </summary>
    internal double[] Formula()
    {
        double[] q = OpTesting.Numbers(Queries.ElementCount, 1, 2), k = OpTesting.Numbers(KeyShape.ElementCount, 2, 2);
        double[] v = OpTesting.Numbers(KeyShape.ElementCount, 3), y = new double[q.Length];
        int keys = Keys ?? Capacity;
        int[]? mask = MaskValues();
        for (int b = 0; b < Batch; b++)
            for (int h = 0; h < Heads; h++)
            {
                var scores = new double[Seq * keys];
                for (int t = 0; t < Seq; t++)
                    for (int j = 0; j < keys; j++)
                    {
                        double dot = 0;
                        for (int c = 0; c < Dim; c++) dot += q[((b * Seq + t) * Heads + h) * Dim + c] * k[KeyIndex(b, j, h) + c];
                        bool hidden = (Causal && j - t > keys - Seq) || keys - Seq + t - j >= (Window ?? int.MaxValue) || mask?[b * Capacity + j] == 0;
                        scores[t * keys + j] = hidden ? double.NegativeInfinity : dot * (Scale ?? Math.Pow(Dim, -0.5));
                    }
                using Tensor s = Tensor.From(scores, [Seq, keys], Devices.Reference), p = OpTesting.Output([Seq, keys], Devices.Reference);
                SoftmaxKernel.Forward(s, p);
                double[] probabilities = p.ToArray<double>();
                for (int t = 0; t < Seq; t++)
                    for (int j = 0; j < keys; j++)
                        for (int c = 0; c < Dim; c++)
                            y[((b * Seq + t) * Heads + h) * Dim + c] += probabilities[t * keys + j] * v[KeyIndex(b, j, h) + c];
            }
        return y;

        int KeyIndex(int b, int j, int h) => ((b * Capacity + j) * KvHeads + h / (Heads / KvHeads)) * Dim;
    }

    private Tensor Forward(Device device, out Tensor z)
    {
        Tensor y = OpTesting.Output(Queries, device);
        z = OpTesting.Output([Batch, Heads, Seq], device);
        Tensor q = Floats(Queries, device, 1, 2), k = KeyRows(device, 2, 2), v = KeyRows(device, 3, 1);
        if (Rounding is { } type && device is GpuDevice gpu)
            TensorCoreAttention.Forward(gpu, type, q, k, v, MaskOn(device), y, z, Sizes(q, k, v), (float)(Scale ?? Math.Pow(Dim, -0.5)));
        else AttentionKernel.Forward(q, k, v, MaskOn(device), y, z, Options);
        return y;
    }

    private AttentionSizes Sizes(Tensor query, Tensor key, Tensor value) => new("Attention", query, key, value, MaskOn(query.Device), Options);

    /// <summary>D = dy · y [batch, heads, seq].</summary>
    private Tensor Products(Tensor y, Tensor dy)
    {
        double[] a = y.ToArray<double>(), b = dy.ToArray<double>(), d = new double[Batch * Heads * Seq];
        for (int i = 0; i < a.Length; i++)
        {
            int row = i / Dim, head = row % Heads, t = row / Heads % Seq, batch = row / Heads / Seq;
            d[(batch * Heads + head) * Seq + t] += a[i] * b[i];
        }
        return Tensor.From(d, [Batch, Heads, Seq], y.Device);
    }

    private Tensor Floats(Shape shape, Device device, int seed, double scale = 1) =>
        Tensor.From(Rounded(OpTesting.Numbers(shape.ElementCount, seed, scale)), shape, device, "test data");

    private double[] Rounded(double[] numbers) => Rounding switch
    {
        MmaType.BFloat16 => [.. numbers.Select(x => (double)(float)(BFloat16)(float)x)],
        MmaType.Float16 => [.. numbers.Select(x => (double)(Half)x)],
        _ => numbers,
    };

    private Tensor KeyRows(Device device, int seed, double scale)
    {
        double[] rows = Rounded(OpTesting.Numbers(KeyShape.ElementCount, seed, scale));
        for (int i = 0; i < rows.Length; i++)
            if (i / (KvHeads * Dim) % Capacity >= (Keys ?? Capacity)) rows[i] = double.NaN;
        return Tensor.From(rows, KeyShape, device);
    }

    private Tensor? MaskOn(Device device) => MaskValues() is { } mask ? Tensor.From(mask, [Batch, Capacity], device) : null;

    private int[]? MaskValues()
    {
        if (Mask == AttentionMask.None) return null;
        var mask = new int[Batch * Capacity];
        for (int b = 0; b < Batch; b++)
            for (int j = 0; j < Capacity; j++)
            {
                int padding = Capacity * (b + 1) / (2 * Batch);
                bool token = Mask switch
                {
                    AttentionMask.Left => j >= padding,
                    AttentionMask.Right => j < Capacity - padding,
                    AttentionMask.Holes => (j * 7 + b * 3) % 5 > 1,
                    _ => b < Batch - 1,
                };
                // Any number that is not 0 is a token.
                mask[b * Capacity + j] = token ? j + 1 : 0;
            }
        return mask;
    }
}
