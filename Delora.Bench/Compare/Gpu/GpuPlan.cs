using Delora.Kernels;

namespace Delora.Bench.Compare.Gpu;

/// <summary>
/// The rows of the comparison on a GPU, the most telling first: a run that is cut off has them. A new row is a line here; a new kind is a work of
/// <see cref="GpuWork.Create"/> and a side in <c>peers/compare.py</c>.
/// </summary>
internal static class GpuPlan
{
    internal const string Copy = "copy", Op = "op", Product = "product", Layer = "layer", Quantized = "quantized layer", Step = "step", Eager = "eager step";

    private const string F32 = GpuCase.Float32, Bf16 = GpuCase.BFloat16;

    /// <summary>Sizes that fill a large card, and whose tensors exceed its caches.</summary>
    internal static IReadOnlyList<GpuCase> Full { get; } =
    [
        new("copy on the device", Copy, "", F32, 1 << 28),
        // The shapes of a Llama of a billion parameters at 4096 tokens: tokens, in, out.
        .. Products(Bf16, ["NT"], (8192, 8192, 8192), (4096, 2048, 2048), (4096, 2048, 512), (4096, 2048, 8192), (4096, 8192, 2048), (4096, 2048, 128256)),
        .. Layers((8192, 2048, 16), (8192, 576, 8), (8192, 2048, 32), (8192, 4096, 32)),
        .. Steps("llama-135m, bf16", "gpt-4x256", "gpt-4x256, bf16"),
        .. Attention((4, 2048, 32, 8, 64), (4, 2048, 16, 4, 128), (8, 512, 9, 3, 64)),
        .. Products(F32, ["NT", "NN", "TN"], (8192, 8192, 8192), (4096, 2048, 8192)),
        .. MemoryBound(rows: 16384, columns: 4096, vocabulary: 49152, parameters: 124_439_808),
        .. Steps("llama-1.2b, bf16"),
        .. QuantizedLayers(8192, 2048, 16),
        .. Products(Bf16, ["NN", "TN"], (8192, 8192, 8192), (4096, 2048, 8192)),
        .. Products(GpuCase.TensorFloat32, ["NT"], (8192, 8192, 8192)),
        .. Products(GpuCase.Float16, ["NT"], (8192, 8192, 8192)),
    ];

    /// <summary>The same rows at sizes that a processor can compute: tries the whole path, measures nothing of interest.</summary>
    internal static IReadOnlyList<GpuCase> Rehearsal { get; } =
    [
        new("copy on the device", Copy, "", F32, 100_003),
        .. Products(Bf16, ["NT", "NN", "TN"], (65, 48, 33)),
        .. Layers((70, 48, 8)),
        .. Steps("rehearsal, all weights", "rehearsal, all weights, bf16"),
        .. Attention((2, 33, 6, 2, 16)),
        .. Products(F32, ["NT", "NN", "TN"], (65, 48, 33)),
        .. MemoryBound(rows: 37, columns: 65, vocabulary: 129, parameters: 1025),
        .. Steps("rehearsal, bf16"),
        .. QuantizedLayers(70, 48, 8),
        .. Products(GpuCase.TensorFloat32, ["NT"], (65, 48, 33)),
        .. Products(GpuCase.Float16, ["NT"], (65, 48, 33)),
    ];

    /// <summary>The three products of a linear layer. One of 16 bits has a frozen weight of that type, but for the weight's own gradient (TN).</summary>
    private static IEnumerable<GpuCase> Products(string type, string[] layouts, params (int Tokens, int In, int Out)[] sizes) =>
        from size in sizes
        from layout in layouts
        select new GpuCase($"{type} product {layout}", Product, layout, type, size.Tokens, size.In, size.Out);

    private static IEnumerable<GpuCase> Layers(params (int Tokens, int Width, int Rank)[] sizes) =>
        from size in sizes
        from pass in (string[])["frozen", "DeLoRA"]
        select new GpuCase($"{pass} layer, forward + backward", Layer, pass, Bf16, size.Tokens, size.Width, size.Rank);

    /// <summary>Own rows alone: PEFT has no DeLoRA over a quantized weight.</summary>
    private static IEnumerable<GpuCase> QuantizedLayers(int tokens, int width, int rank) =>
        from storage in (FrozenStorage[])[FrozenStorage.Int8, FrozenStorage.Nf4]
        from pass in (string[])["frozen", "DeLoRA"]
        select new GpuCase($"{pass} layer over {storage.Name}, forward + backward", Quantized, $"{pass} {storage.Name}", Bf16, tokens, width, rank);

    private static IEnumerable<GpuCase> Attention(params (int Batch, int Length, int Heads, int KeyValueHeads, int Dim)[] sizes) =>
        from size in sizes
        from pass in (string[])["Forward", "Backward"]
        select new GpuCase($"causal attention, {pass.ToLowerInvariant()}", Op, $"Attention.{pass}", Bf16,
            size.Batch, size.Length, size.Length, size.Heads, size.KeyValueHeads, size.Dim);

    private static IEnumerable<GpuCase> MemoryBound(int rows, int columns, int vocabulary, int parameters)
    {
        foreach ((string op, string pass) in ((string, string)[])
            [("RmsNorm", "Forward"), ("RmsNorm", "Backward"), ("LayerNorm", "Forward"), ("LayerNorm", "BackwardWithWeight"), ("Add", "Forward"),
                ("Gelu", "Forward"), ("Gelu", "Backward"), ("SwiGlu", "Forward"), ("SwiGlu", "Backward"), ("Softmax", "Forward"), ("Softmax", "Backward")])
            yield return new($"{op}, {pass}", Op, $"{op}.{pass}", F32, rows, columns);
        yield return new("AdamW, Step", Op, "AdamW.Step", F32, parameters);
        foreach (string pass in (string[])["Forward", "Backward"])
            yield return new($"CrossEntropy, {pass}", Op, $"CrossEntropy.{pass}", F32, rows / 4, vocabulary);
    }

    /// <summary>As a trainer takes them, whose passes are a graph on a CUDA card; and launch by launch, for what the graph gains.</summary>
    private static IEnumerable<GpuCase> Steps(params string[] models) =>
        from name in models
        let model = GpuModels.Get(name)
        from kind in (string[])[Step, Eager]
        select new GpuCase($"training step, {name}{(kind == Eager ? ", launch by launch" : "")}", kind, name,
            name.EndsWith("bf16", StringComparison.Ordinal) ? Bf16 : F32, model.Batch, model.Length, model.Layers, model.Width, model.Intermediate,
            model.Heads, model.KeyValueHeads, model.Vocabulary, model.Rank);
}

/// <summary>The models whose training steps are compared on a GPU.</summary>
internal static class GpuModels
{
    private static readonly ModelShape[] s_all =
    [
        new("llama-135m, bf16", true, 30, 576, 1536, 9, 3, 49152, 8, 512, 8),
        new("gpt-4x256", false, 4, 256, 1024, 8, 8, 4096, 16, 128, 0),
        new("gpt-4x256, bf16", false, 4, 256, 1024, 8, 8, 4096, 16, 128, 0),
        new("llama-1.2b, bf16", true, 16, 2048, 8192, 32, 8, 128256, 4, 1024, 8),
        new("rehearsal, bf16", true, 2, 32, 40, 4, 2, 67, 2, 17, 2),
        new("rehearsal, all weights", false, 1, 32, 40, 4, 4, 67, 2, 17, 0),
        new("rehearsal, all weights, bf16", false, 1, 32, 40, 4, 4, 67, 2, 17, 0),
    ];

    internal static ModelShape Get(string name) => s_all.Single(shape => shape.Name == name);
}
