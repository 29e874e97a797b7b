namespace Delora.Bench;

/// <summary>The shapes of elementwise ops, <c>[tokens, dim]</c>: within the caches, GPT-2 small, and far beyond them.</summary>
internal static class ElementwiseShapes
{
    internal static readonly BenchShape[] All = [new("gpt2-ffn", 512, 3072), new("gpt2-residual", 512, 768), new("batch", 4096, 3072)];

    internal static readonly BenchShape Validation = new("odd", 33, 31);
}
