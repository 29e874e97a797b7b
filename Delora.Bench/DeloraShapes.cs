namespace Delora.Bench;

/// <summary>The shapes of adapters, <c>[rank, in, out]</c>: attention of GPT-2 small at two ranks, and a feed-forward layer of Llama 7B.</summary>
internal static class DeloraShapes
{
    internal static readonly BenchShape[] All =
        [new("gpt2-attention", 8, 768, 768), new("gpt2-attention-r32", 32, 768, 768), new("llama-7b-ffn", 16, 4096, 11008)];

    internal static readonly BenchShape Validation = new("odd", 3, 31, 33);
}

/// <summary>Lengths of flat buffers of parameters: DeLoRA of rank 8 on GPT-2 small, a small classifier, GPT-2 small itself.</summary>
internal static class FlatShapes
{
    internal static readonly BenchShape[] All = [new("gpt2-delora-r8", 294_912), new("classifier", 2_000_000), new("gpt2", 124_439_808)];

    internal static readonly BenchShape Validation = new("odd", 1025);
}

/// <summary>Weights that norms are taken of, <c>[out, in]</c>.</summary>
internal static class WeightShapes
{
    internal static readonly BenchShape[] All = [new("gpt2-attention", 768, 768), new("gpt2-ffn", 3072, 768), new("llama-7b", 4096, 4096)];

    internal static readonly BenchShape Validation = new("odd", 33, 31);
}
