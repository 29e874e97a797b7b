namespace Delora.Bench.Compare;

/// <summary>Numbers that both sides make for themselves: element i of a tensor depends on its name and i alone.</summary>
internal static class Numbers
{
    /// <summary>Uniform in ±scale.</summary>
    internal static float[] Uniform(string name, long count, double scale)
    {
        ulong seed = 14695981039346656037;
        foreach (char c in name) seed = (seed ^ c) * 1099511628211;
        var values = new float[count];
        for (long i = 0; i < count; i++) values[i] = (float)(((Hash(seed + (ulong)i) >> 40) / (double)(1 << 23) - 1) * scale);
        return values;
    }

    /// <summary>The initial values of a weight: ones for norms, zeros for biases, a standard deviation of 0.02 for everything else but A.</summary>
    internal static float[] Weight(string name, int[] shape)
    {
        long count = shape.Aggregate(1L, (product, n) => product * n);
        if (shape.Length == 1)
        {
            var values = new float[count];
            if (name.EndsWith("weight", StringComparison.Ordinal)) Array.Fill(values, 1);
            return values;
        }
        return Uniform(name, count, name.EndsWith("delora_A", StringComparison.Ordinal) ? 1 / Math.Sqrt(shape[1]) : 0.02 * Math.Sqrt(3));
    }

    /// <summary>At most 64 elements, evenly spread, and the largest magnitude of all.</summary>
    internal static double[] Sample(ReadOnlySpan<float> values)
    {
        int step = Math.Max(1, values.Length / 63);
        var sample = new List<double>();
        double largest = 0;
        for (int i = 0; i < values.Length; i++)
        {
            if (i % step == 0) sample.Add(values[i]);
            largest = Math.Max(largest, Math.Abs(values[i]));
        }
        return [.. sample, largest];
    }

    /// <summary>SplitMix64 (Steele, Lea, Flood 2014).</summary>
    internal static ulong Hash(ulong x)
    {
        x += 0x9E3779B97F4A7C15;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }
}
