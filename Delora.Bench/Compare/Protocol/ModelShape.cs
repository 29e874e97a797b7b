namespace Delora.Bench.Compare;

/// <summary>A model whose training step is compared.</summary>
/// <param name="Name">Its name in a <see cref="CompareCase"/>.</param>
/// <param name="IsLlama">Llama (RMS norm, rotary positions, SwiGLU, shared heads), or GPT-2's layout (layer norm, learned positions, GELU).</param>
/// <param name="Layers">Decoder layers.</param>
/// <param name="Width">Hidden size.</param>
/// <param name="Intermediate">Width of the feed-forward part.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="KeyValueHeads">Heads of keys and values.</param>
/// <param name="Vocabulary">Rows of the embedding, which is tied with the output.</param>
/// <param name="Batch">Sequences.</param>
/// <param name="Length">Tokens of each.</param>
/// <param name="Rank">Rank of DeLoRA: on q and v of GPT-2's layout, on all linear layers of Llama. 0: all weights are trained.</param>
internal sealed record ModelShape(
    string Name, bool IsLlama, int Layers, int Width, int Intermediate, int Heads, int KeyValueHeads, int Vocabulary, int Batch, int Length, int Rank)
{
    internal const double LearningRate = 1e-3, WeightDecay = 0.01, Lambda = 15, NormEpsilon = 1e-5, RopeTheta = 10000;

    internal static IReadOnlyList<ModelShape> All { get; } =
    [
        new("gpt2-small", false, 12, 768, 3072, 12, 12, 50257, 4, 128, 8),
        new("gpt-4x256", false, 4, 256, 1024, 8, 8, 4096, 16, 128, 0),
        new("llama-135m", true, 30, 576, 1536, 9, 3, 49152, 1, 256, 8),
        new("stories260k", true, 5, 64, 172, 8, 4, 512, 8, 128, 8),
    ];

    internal static ModelShape Get(string name) => All.Single(shape => shape.Name == name);

    internal int[] Ids(int shift) =>
        [.. Enumerable.Range(0, Batch * Length).Select(i => (int)((Numbers.Hash((ulong)(i + i / Length + shift)) >> 33) % (ulong)Vocabulary))];
}
