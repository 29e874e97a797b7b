using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The scatter-add of the embeddings' gradients: table[ids[i]] += scale · rows[i]. The places are dealt to a fixed number of shards by
/// their id, in order, and each shard is one chunk of work: every row of the table belongs to one shard, which adds to it in the order of
/// the places. So threads never meet, the bits do not depend on them, and nothing but the rows that occur is touched.
/// </summary>
internal static unsafe class CpuScatter
{
    private const int ShardBits = 6;
    private const int Shards = 1 << ShardBits;

    /// <summary>How many places ahead a row is asked for: rows of a large table come from memory.</summary>
    internal const int PrefetchDistance = 8;

    /// <summary>
    /// table[ids[i]] += scale_b · rows[b], where b is the bag that place i belongs to, or i itself where there are no <paramref
    /// name="offsets"/>; scale_b is 1, or with <paramref name="mean"/> one over the length of the bag. The ids are in range.
    /// </summary>
    internal static void Add(CpuDevice cpu, Tensor ids, Tensor? offsets, bool mean, Tensor rows, Tensor table)
    {
        long count = ids.ElementCount;
        int dim = table.Shape.Columns;
        if (count == 0 || dim == 0) return;
        // A place keeps its number in 32 bits.
        using var scratch = new HostScratch(cpu, checked((int)count * (long)sizeof(Place)), "scatter places");
        var places = (Place*)scratch.Pointer;
        long* starts = stackalloc long[Shards + 1];
        Deal(ids.Pointer<int>(), count, offsets is null ? null : offsets.Pointer<int>(), mean, places, starts);
        switch (cpu.Simd)
        {
            case SimdLevel.Vector512: Run<V16>(cpu, places, starts, rows, table); break;
            case SimdLevel.Vector256: Run<V8>(cpu, places, starts, rows, table); break;
            default: Run<V4>(cpu, places, starts, rows, table); break;
        }
    }

    /// <summary>Asks for a row of floats before it is needed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Prefetch(float* row, long length)
    {
        if (!Sse.IsSupported) return;
        for (long c = 0; c < length; c += 16) Sse.Prefetch0(row + c);
    }

    /// <summary>A stable counting sort of the places by shard.</summary>
    private static void Deal(int* ids, long count, int* offsets, bool mean, Place* places, long* starts)
    {
        new Span<long>(starts, Shards + 1).Clear();
        for (long i = 0; i < count; i++) starts[Shard(ids[i]) + 1]++;
        for (int s = 0; s < Shards; s++) starts[s + 1] += starts[s];
        long* next = stackalloc long[Shards];
        for (int s = 0; s < Shards; s++) next[s] = starts[s];
        int bag = 0;
        for (long i = 0; i < count; i++)
        {
            var place = new Place { Id = ids[i], Row = (int)i, Scale = 1 };
            if (offsets != null)
            {
                while (offsets[bag + 1] <= i) bag++;
                place.Row = bag;
                if (mean) place.Scale = 1f / (offsets[bag + 1] - offsets[bag]);
            }
            places[next[Shard(ids[i])]++] = place;
        }
    }

    // Fibonacci hashing: neighboring ids, which are often the frequent ones, go to different shards.
    private static int Shard(int id) => (int)(unchecked((uint)id * 2654435769u) >> (32 - ShardBits));

    private static void Run<TVector>(CpuDevice cpu, Place* places, long* starts, Tensor rows, Tensor table)
        where TVector : unmanaged, ISimd<TVector>
    {
        var body = new Body<TVector>
        {
            Places = places,
            Starts = starts,
            Rows = rows.Pointer<float>(),
            Table = table.Pointer<float>(),
            Dim = table.Shape.Columns,
        };
        cpu.Team.For(Shards, 1, ref body);
    }

    private struct Place
    {
        public int Id, Row;
        public float Scale;
    }

    private struct Body<TVector> : IRangeBody where TVector : unmanaged, ISimd<TVector>
    {
        public Place* Places;
        public long* Starts;
        public float* Rows, Table;
        public long Dim;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(long start, long end, long chunk)
        {
            long last = Starts[end];
            for (long i = Starts[start]; i < last; i++)
            {
                if (i + PrefetchDistance < last) Prefetch(Table + Places[i + PrefetchDistance].Id * Dim, Dim);
                Place place = Places[i];
                CpuRow.Map<AddScaled, TVector>(new(place.Scale), Rows + place.Row * Dim, Table + place.Id * Dim, Table + place.Id * Dim,
                    Dim);
            }
        }
    }

    private readonly struct AddScaled(float scale) : ICpuBinaryOp
    {
        public TVector Apply<TVector>(TVector row, TVector sum) where TVector : unmanaged, ISimd<TVector> =>
            TVector.MultiplyAdd(row, TVector.Set(scale), sum);
    }
}
