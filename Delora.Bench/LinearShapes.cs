namespace Delora.Bench;

/// <summary>The shapes of linear layers, [tokens, in, out].</summary>
internal static class LinearShapes
{
    internal static readonly BenchShape[] All =
        [new("gpt2-attn", 512, 768, 768), new("gpt2-ffn-up", 512, 768, 3072), new("gpt2-ffn-down", 512, 3072, 768), new("wide", 512, 2048, 2048)];

    internal static readonly BenchShape Validation = new("odd", 33, 31, 65);

    internal static double Flops(BenchShape shape) => 2.0 * shape.Dims[0] * shape.Dims[1] * shape.Dims[2];

    internal static double Bytes(BenchShape shape)
    {
        (double tokens, double inputs, double outputs) = (shape.Dims[0], shape.Dims[1], shape.Dims[2]);
        return sizeof(float) * (tokens * inputs + inputs * outputs + tokens * outputs);
    }
}
