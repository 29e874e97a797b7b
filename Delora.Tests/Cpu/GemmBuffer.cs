using System.Runtime.InteropServices;

namespace Delora.Tests.Cpu;

/// <summary>Native memory between guard zones that must be intact at the end.</summary>
internal sealed unsafe class GemmBuffer : IDisposable
{
    private const int Guard = 64;
    private readonly float* _start;

    public GemmBuffer(long length)
    {
        Length = length;
        _start = (float*)NativeMemory.AlignedAlloc((nuint)(length + 2 * Guard) * sizeof(float), 64);
        new Span<float>(_start, Guard).Fill(12345f);
        new Span<float>(_start + Guard + length, Guard).Fill(12345f);
    }

    public long Length { get; }

    public float* Data => _start + Guard;

    public void Poison() => new Span<float>(Data, (int)Length).Fill(float.NaN);

    public void Fill(int seed)
    {
        Random random = new(seed);
        for (long i = 0; i < Length; i++)
            Data[i] = random.NextSingle() * 2 - 1;
    }

    /// <summary>What the product adds to, or what it must overwrite; returns a copy.</summary>
    public float[] FillOrPoison(bool fill, int seed)
    {
        if (fill)
            Fill(seed);
        else
            Poison();
        return new ReadOnlySpan<float>(Data, (int)Length).ToArray();
    }

    public bool SameBits(GemmBuffer other) =>
        new ReadOnlySpan<int>(Data, (int)Length).SequenceEqual(new ReadOnlySpan<int>(other.Data, (int)other.Length));

    public void Dispose()
    {
        bool intact = new ReadOnlySpan<float>(_start, Guard).IndexOfAnyExcept(12345f) < 0
            && new ReadOnlySpan<float>(Data + Length, Guard).IndexOfAnyExcept(12345f) < 0;
        NativeMemory.AlignedFree(_start);
        Assert.True(intact, "wrote outside its memory");
    }
}
