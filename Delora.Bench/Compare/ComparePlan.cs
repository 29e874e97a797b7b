namespace Delora.Bench.Compare;

/// <summary>The rows of the comparison on the processor, and what a filter leaves of them.</summary>
internal static class ComparePlan
{
    /// <summary>Threads of either side: one, and all.</summary>
    internal static int[] Threads { get; } = [.. ((int[])[1, Environment.ProcessorCount]).Distinct()];

    /// <summary>Training steps, with all threads.</summary>
    internal static IEnumerable<(string Name, CompareCase Case)> Steps =>
        from model in ModelShape.All
        select ($"training step, {model.Name}{(model.Rank > 0 ? $", DeLoRA r = {model.Rank}" : ", all weights")}",
            new CompareCase("step", model.Name, Threads[^1], model.Batch, model.Length));

    /// <summary>All rows.</summary>
    internal static IEnumerable<(string Name, CompareCase Case)> All => [.. Threads.SelectMany(Products), .. Threads.SelectMany(Layers), .. Steps];

    /// <summary>Products in every layout, and over a frozen operand.</summary>
    internal static IEnumerable<(string Name, CompareCase Case)> Products(int threads) =>
        from variant in (string[])["NN", "NT", "TN", "frozen"]
        from sizes in ProductSizes()
        select (variant == "frozen" ? "sgemm, frozen packed operand" : $"sgemm {variant}", new CompareCase("product", variant, threads, sizes));

    /// <summary>DeLoRA layers.</summary>
    internal static IEnumerable<(string Name, CompareCase Case)> Layers(int threads) =>
        from variant in (string[])["forward", "backward"]
        from shape in LayerRun.Shapes
        select (variant == "forward" ? "DeLoRA layer, forward" : "DeLoRA layer, forward + backward",
            new CompareCase("layer", variant, threads, shape.Tokens, shape.In, shape.Rank));

    /// <summary>The rows, as text, that have what is asked for.</summary>
    internal static T[] Having<T>(IEnumerable<T> rows, Func<T, string> text, string filter) =>
        [.. rows.Where(row => text(row).Contains(filter, StringComparison.OrdinalIgnoreCase))];

    /// <summary>All that is matched of a row.</summary>
    internal static string Text((string Name, CompareCase Case) row) => $"{row.Name} {row.Case}";

    /// <summary>Says in one line that no row has what is asked for, and what rows have.</summary>
    /// <param name="filter">What is asked for.</param>
    /// <param name="names">The rows' names.</param>
    /// <param name="other">What else is matched, of one row.</param>
    /// <returns>The exit code.</returns>
    internal static int Refuse(string filter, IEnumerable<string> names, string other)
    {
        Console.Error.WriteLine($"No row has '{filter}' in it. Rows are: {string.Join("; ", names.Distinct())}; each with its kind and sizes, as '{other}'.");
        return 2;
    }

    private static IEnumerable<int[]> ProductSizes()
    {
        foreach (int n in (int[])[512, 1024, 2048]) yield return [n, n, n];
        foreach (int m in (int[])[256, 512, 2048])
            foreach ((int n, int k) in ((int, int)[])[(768, 768), (2304, 768), (3072, 768), (768, 3072)]) yield return [m, n, k];
    }
}
