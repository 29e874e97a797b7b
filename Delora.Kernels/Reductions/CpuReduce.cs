using System.Runtime.CompilerServices;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>How a reduction joins two values: associative, with a neutral element.</summary>
internal interface ICpuCombine
{
    /// <summary>The neutral element: the result over nothing.</summary>
    static abstract double Identity { get; }

    static abstract double Combine(double a, double b);

    static abstract TVector Combine<TVector>(TVector a, TVector b) where TVector : unmanaged, ISimd<TVector>;
}

/// <summary>a + b; 0 over nothing.</summary>
internal readonly struct CpuPlus : ICpuCombine
{
    public static double Identity => 0;

    public static double Combine(double a, double b) => a + b;

    public static TVector Combine<TVector>(TVector a, TVector b) where TVector : unmanaged, ISimd<TVector> => a + b;
}

/// <summary>max(a, b), NaN where one is NaN; −∞ over nothing.</summary>
internal readonly struct CpuMaximum : ICpuCombine
{
    public static double Identity => double.NegativeInfinity;

    public static double Combine(double a, double b) => Math.Max(a, b);

    public static TVector Combine<TVector>(TVector a, TVector b) where TVector : unmanaged, ISimd<TVector> => TVector.Max(a, b);
}

/// <summary>f(x) = x: the map of a plain sum or maximum.</summary>
internal readonly struct CpuIdentity : ICpuUnaryOp
{
    public TVector Apply<TVector>(TVector x) where TVector : unmanaged, ISimd<TVector> => x;
}

/// <summary>f(x) = x²: the map of a squared norm.</summary>
internal readonly struct CpuSquare : ICpuUnaryOp
{
    public TVector Apply<TVector>(TVector x) where TVector : unmanaged, ISimd<TVector> => x * x;
}

/// <summary>f(a, b) = a·b: the map of an inner product.</summary>
internal readonly struct CpuProduct : ICpuBinaryOp
{
    public TVector Apply<TVector>(TVector a, TVector b) where TVector : unmanaged, ISimd<TVector> => a * b;
}

/// <summary>
/// The reductions of the CPU device: an elementwise map, then a combination. The order is fixed by the lengths and the vector width
/// alone: blocks of <see cref="BlockLength"/> elements are combined in float32 over several vectors, blocks and chunks one after another in
/// float64. Hence the same bits with any number of threads, and an error that hardly grows with the length.
/// </summary>
internal static unsafe class CpuReduce
{
    /// <summary>Elements combined in float32 before the result goes to float64; a multiple of four vectors of every width.</summary>
    internal const int BlockLength = 2048;

    private const long Grain = 16 * 1024;

    /// <summary>The combination of f(x) over all elements.</summary>
    internal static double All<TMap, TCombine>(CpuDevice cpu, TMap map, Tensor x)
        where TMap : struct, ICpuUnaryOp where TCombine : struct, ICpuCombine
    {
        float* from = x.Pointer<float>();
        long n = x.ElementCount;
        return cpu.Simd switch
        {
            SimdLevel.Vector512 => All<Unary<TMap, TCombine, V16>, TCombine>(cpu, new() { Map = map, X = from }, n),
            SimdLevel.Vector256 => All<Unary<TMap, TCombine, V8>, TCombine>(cpu, new() { Map = map, X = from }, n),
            _ => All<Unary<TMap, TCombine, V4>, TCombine>(cpu, new() { Map = map, X = from }, n),
        };
    }

    /// <summary>The combination of f(a, b) over all pairs of elements.</summary>
    internal static double All<TMap, TCombine>(CpuDevice cpu, TMap map, Tensor a, Tensor b)
        where TMap : struct, ICpuBinaryOp where TCombine : struct, ICpuCombine
    {
        float* left = a.Pointer<float>(), right = b.Pointer<float>();
        long n = a.ElementCount;
        return cpu.Simd switch
        {
            SimdLevel.Vector512 => All<Binary<TMap, TCombine, V16>, TCombine>(cpu, new() { Map = map, A = left, B = right }, n),
            SimdLevel.Vector256 => All<Binary<TMap, TCombine, V8>, TCombine>(cpu, new() { Map = map, A = left, B = right }, n),
            _ => All<Binary<TMap, TCombine, V4>, TCombine>(cpu, new() { Map = map, A = left, B = right }, n),
        };
    }

    /// <summary>y[i] = scale · (the combination of f(x[i, j]) over j), rows in parallel.</summary>
    internal static void Rows<TMap, TCombine>(CpuDevice cpu, TMap map, float* x, long rows, long columns, float* y, double scale)
        where TMap : struct, ICpuUnaryOp where TCombine : struct, ICpuCombine
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512:
                Rows(cpu, new Unary<TMap, TCombine, V16> { Map = map, X = x }, rows, columns, y, scale);
                break;
            case SimdLevel.Vector256:
                Rows(cpu, new Unary<TMap, TCombine, V8> { Map = map, X = x }, rows, columns, y, scale);
                break;
            default:
                Rows(cpu, new Unary<TMap, TCombine, V4> { Map = map, X = x }, rows, columns, y, scale);
                break;
        }
    }

    /// <summary>y[i] = scale · (the combination of f(a[i, j], b[i, j]) over j), rows in parallel.</summary>
    internal static void Rows<TMap, TCombine>(
        CpuDevice cpu, TMap map, float* a, float* b, long rows, long columns, float* y, double scale)
        where TMap : struct, ICpuBinaryOp where TCombine : struct, ICpuCombine
    {
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512:
                Rows(cpu, new Binary<TMap, TCombine, V16> { Map = map, A = a, B = b }, rows, columns, y, scale);
                break;
            case SimdLevel.Vector256:
                Rows(cpu, new Binary<TMap, TCombine, V8> { Map = map, A = a, B = b }, rows, columns, y, scale);
                break;
            default:
                Rows(cpu, new Binary<TMap, TCombine, V4> { Map = map, A = a, B = b }, rows, columns, y, scale);
                break;
        }
    }

    /// <summary>Rows per chunk of a loop over rows: about 64 KiB of float32.</summary>
    internal static long RowGrain(long columns) => Math.Max(1, Grain / Math.Max(1, columns));

    /// <summary>
    /// The combination of f(x[i]) over <paramref name="count"/> elements, on the calling thread: the piece that fused row kernels use.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static double Sequence<TMap, TCombine, TVector>(TMap map, float* x, long count)
        where TMap : struct, ICpuUnaryOp where TCombine : struct, ICpuCombine where TVector : unmanaged, ISimd<TVector>
    {
        double total = TCombine.Identity;
        float* lanes = stackalloc float[16];
        long i = 0, last = count - count % TVector.Count;
        while (i < last)
        {
            long end = Math.Min(i + BlockLength, last);
            TVector s0 = TVector.Set((float)TCombine.Identity), s1 = s0, s2 = s0, s3 = s0;
            for (; i + 4 * TVector.Count <= end; i += 4 * TVector.Count)
            {
                s0 = TCombine.Combine(s0, map.Apply(TVector.Load(x + i)));
                s1 = TCombine.Combine(s1, map.Apply(TVector.Load(x + i + TVector.Count)));
                s2 = TCombine.Combine(s2, map.Apply(TVector.Load(x + i + 2 * TVector.Count)));
                s3 = TCombine.Combine(s3, map.Apply(TVector.Load(x + i + 3 * TVector.Count)));
            }
            for (; i < end; i += TVector.Count) s0 = TCombine.Combine(s0, map.Apply(TVector.Load(x + i)));
            TVector.Store(TCombine.Combine(TCombine.Combine(s0, s1), TCombine.Combine(s2, s3)), lanes);
            for (int lane = 0; lane < TVector.Count; lane++) total = TCombine.Combine(total, lanes[lane]);
        }
        for (; i < count; i++) total = TCombine.Combine(total, map.Apply(V1.Load(x + i)).Value);
        return total;
    }

    /// <summary>The combination of f(a[i], b[i]) over <paramref name="count"/> pairs, on the calling thread.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static double Sequence<TMap, TCombine, TVector>(TMap map, float* a, float* b, long count)
        where TMap : struct, ICpuBinaryOp where TCombine : struct, ICpuCombine where TVector : unmanaged, ISimd<TVector>
    {
        double total = TCombine.Identity;
        float* lanes = stackalloc float[16];
        long i = 0, last = count - count % TVector.Count;
        while (i < last)
        {
            long end = Math.Min(i + BlockLength, last);
            TVector s0 = TVector.Set((float)TCombine.Identity), s1 = s0;
            for (; i + 2 * TVector.Count <= end; i += 2 * TVector.Count)
            {
                s0 = TCombine.Combine(s0, map.Apply(TVector.Load(a + i), TVector.Load(b + i)));
                s1 = TCombine.Combine(s1, map.Apply(TVector.Load(a + i + TVector.Count), TVector.Load(b + i + TVector.Count)));
            }
            for (; i < end; i += TVector.Count) s0 = TCombine.Combine(s0, map.Apply(TVector.Load(a + i), TVector.Load(b + i)));
            TVector.Store(TCombine.Combine(s0, s1), lanes);
            for (int lane = 0; lane < TVector.Count; lane++) total = TCombine.Combine(total, lanes[lane]);
        }
        for (; i < count; i++) total = TCombine.Combine(total, map.Apply(V1.Load(a + i), V1.Load(b + i)).Value);
        return total;
    }

    private static double All<TSource, TCombine>(CpuDevice cpu, TSource source, long count)
        where TSource : struct, ISequence where TCombine : struct, ICpuCombine
    {
        int chunks = WorkerTeam.ChunkCount(count, Grain);
        if (chunks <= 1) return source.Reduce(0, count);
        using var partials = new HostScratch(cpu, checked(chunks * (long)sizeof(double)), "reduction partials");
        var body = new AllBody<TSource> { Source = source, Partials = partials.Doubles };
        cpu.Team.For(count, Grain, ref body);
        double total = TCombine.Identity;
        for (int c = 0; c < chunks; c++) total = TCombine.Combine(total, partials.Doubles[c]);
        return total;
    }

    private static void Rows<TSource>(CpuDevice cpu, TSource source, long rows, long columns, float* y, double scale)
        where TSource : struct, ISequence
    {
        var body = new RowsBody<TSource> { Source = source, Columns = columns, Y = y, Scale = scale };
        cpu.Team.For(rows, RowGrain(columns), ref body);
    }

    private interface ISequence
    {
        double Reduce(long start, long count);
    }

    private struct Unary<TMap, TCombine, TVector> : ISequence
        where TMap : struct, ICpuUnaryOp where TCombine : struct, ICpuCombine where TVector : unmanaged, ISimd<TVector>
    {
        public TMap Map;
        public float* X;

        public readonly double Reduce(long start, long count) => Sequence<TMap, TCombine, TVector>(Map, X + start, count);
    }

    private struct Binary<TMap, TCombine, TVector> : ISequence
        where TMap : struct, ICpuBinaryOp where TCombine : struct, ICpuCombine where TVector : unmanaged, ISimd<TVector>
    {
        public TMap Map;
        public float* A, B;

        public readonly double Reduce(long start, long count) => Sequence<TMap, TCombine, TVector>(Map, A + start, B + start, count);
    }

    private struct AllBody<TSource> : IRangeBody where TSource : struct, ISequence
    {
        public TSource Source;
        public double* Partials;

        public readonly void Run(long start, long end, long chunk) => Partials[chunk] = Source.Reduce(start, end - start);
    }

    private struct RowsBody<TSource> : IRangeBody where TSource : struct, ISequence
    {
        public TSource Source;
        public long Columns;
        public float* Y;
        public double Scale;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long row = start; row < end; row++) Y[row] = (float)(Source.Reduce(row * Columns, Columns) * Scale);
        }
    }
}
