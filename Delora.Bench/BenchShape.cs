namespace Delora.Bench;

/// <summary>Sizes that a benchmark runs at, with the place in a transformer that they come from.</summary>
/// <param name="Name">For instance <c>ffn</c>.</param>
/// <param name="Dims">What the numbers mean is the benchmark's business.</param>
public sealed record BenchShape(string Name, params int[] Dims)
{
    public override string ToString() => $"{Name} {string.Join('×', Dims)}";
}

/// <summary>What one call of a benchmark does: the figure that its rates are computed from.</summary>
/// <param name="Flops">Floating-point operations; 0 where they are not the point.</param>
/// <param name="Bytes">Bytes that must be read and written at least once.</param>
public readonly record struct Work(double Flops, double Bytes)
{
    /// <summary>Work that moves float32 values and hardly computes.</summary>
    public static Work Floats(double count) => new(0, count * sizeof(float));
}
