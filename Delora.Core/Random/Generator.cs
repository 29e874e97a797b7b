namespace Delora.Core;

/// <summary>What a <see cref="Generator"/> is, completely: a checkpoint keeps these two numbers.</summary>
/// <param name="Seed">The key.</param>
/// <param name="Offset">The next element of the seed's sequence.</param>
public readonly record struct GeneratorState(ulong Seed, ulong Offset);

/// <summary>
/// Hands out pieces of one seed's <see cref="Philox"/> sequence, each element once: to ops as streams (<see cref="Reserve"/>), and to host
/// code as numbers. Thread-safe; which thread gets which piece is then up to their order, so a reproducible program asks in a fixed order.
/// </summary>
public sealed class Generator
{
    private readonly Lock _lock = new();
    private GeneratorState _state;

    /// <summary>Starts at the first element of the seed's sequence.</summary>
    public Generator(ulong seed) => _state = new(seed, 0);

    /// <summary>The whole state: writing it back continues with the same numbers.</summary>
    public GeneratorState State
    {
        get { lock (_lock) return _state; }
        set { lock (_lock) _state = value; }
    }

    /// <summary>Takes the next <paramref name="count"/> elements, or in a <see cref="RandomReplay"/> those that were taken the first time.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The count is negative.</exception>
    /// <exception cref="InvalidOperationException">The first time something else was taken.</exception>
    public RandomStream Reserve(long count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        return RandomReplay.Take(this, count);
    }

    /// <summary>The next elements, whatever is recorded or replayed.</summary>
    internal RandomStream Next(long count)
    {
        lock (_lock)
        {
            var stream = new RandomStream(_state.Seed, _state.Offset);
            _state = _state with { Offset = unchecked(_state.Offset + (ulong)count) };
            return stream;
        }
    }

    /// <summary>Fills with numbers in [lo, hi): <c>lo + u · (hi − lo)</c> with 24 random bits. Takes one element each.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A bound is not finite, or they are not in order.</exception>
    public void FillUniform(Span<float> destination, float lo = 0, float hi = 1)
    {
        if (!float.IsFinite(lo) || !float.IsFinite(hi) || lo > hi)
            throw new ArgumentOutOfRangeException(nameof(lo), $"FillUniform: [{lo}, {hi}) is not a finite interval.");
        RandomStream stream = Reserve(destination.Length);
        double width = (double)hi - lo;
        // Rounding to float32 could reach hi; the largest float below it is the nearest number that is allowed.
        float last = lo == hi ? lo : MathF.BitDecrement(hi);
        for (int i = 0; i < destination.Length; i++)
            destination[i] = MathF.Min((float)(lo + stream.Uniform(i) * width), last);
    }

    /// <summary>
    /// Fills with normally distributed numbers by the Box–Muller transform in float64: <c>√(−2 ln u) · cos 2πv</c> and
    /// <c>√(−2 ln u) · sin 2πv</c>, u from (0, 1] and v from [0, 1) with 32 random bits each. Takes one element each,
    /// rounded up to an even number.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">Mean or standard deviation is not finite, or the latter negative.</exception>
    public void FillNormal(Span<float> destination, float mean = 0, float standardDeviation = 1)
    {
        if (!float.IsFinite(mean) || !float.IsFinite(standardDeviation) || standardDeviation < 0)
            throw new ArgumentOutOfRangeException(nameof(mean), $"FillNormal: mean {mean}, standard deviation {standardDeviation}.");
        RandomStream stream = Reserve(destination.Length + (destination.Length & 1L));
        for (int i = 0; i < destination.Length; i += 2)
        {
            double radius = Math.Sqrt(-2 * Math.Log((stream.Word(i) + 1.0) / 4294967296.0)) * standardDeviation;
            (double sin, double cos) = Math.SinCos(2 * Math.PI * (stream.Word(i + 1) / 4294967296.0));
            destination[i] = (float)(mean + radius * cos);
            if (i + 1 < destination.Length) destination[i + 1] = (float)(mean + radius * sin);
        }
    }

    /// <summary>
    /// An integer in [0, <paramref name="exclusiveMaximum"/>), each equally likely (Lemire's multiplication, with rejection).
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The maximum is not positive.</exception>
    public int NextInt(int exclusiveMaximum)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(exclusiveMaximum);
        var range = (uint)exclusiveMaximum;
        uint rejectBelow = unchecked(0u - range) % range;
        while (true)
        {
            ulong product = (ulong)Reserve(1).Word(0) * range;
            if ((uint)product >= rejectBelow) return (int)(product >> 32);
        }
    }

    /// <summary>Brings the elements into a random order, every order equally likely (Fisher–Yates).</summary>
    public void Shuffle<T>(Span<T> items)
    {
        for (int i = items.Length - 1; i > 0; i--)
        {
            int j = NextInt(i + 1);
            (items[i], items[j]) = (items[j], items[i]);
        }
    }

    /// <summary>The numbers 0 … <paramref name="count"/> − 1 in a random order.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The count is negative.</exception>
    public int[] Permutation(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        var order = new int[count];
        for (int i = 0; i < count; i++) order[i] = i;
        Shuffle<int>(order);
        return order;
    }
}
