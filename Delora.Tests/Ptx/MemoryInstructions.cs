using System.Numerics;

namespace Delora.Tests.Ptx;

/// <summary>
/// Loads and stores of all spaces, prefetching and fences (PTX ISA, "ld", "st", "prefetch", "membar, fence"). Cache hints change nothing. A fence alone
/// orders nothing here: threads meet at barriers.
/// </summary>
internal static class MemoryInstructions
{
    internal static IEnumerable<(string, Func<PtxDecoder, PtxOp>)> All() =>
    [
        ("ld", Load), ("ldu", Load), ("st", Store), ("prefetch", Prefetch), ("prefetchu", Prefetch), ("membar", Fence), ("fence", Fence),
    ];

    private static readonly string[] s_hints =
    [
        "ca", "cg", "cs", "lu", "cv", "wb", "wt", "nc", "L1::evict_normal", "L1::evict_unchanged", "L1::evict_first", "L1::evict_last",
        "L1::no_allocate", "L2::64B", "L2::128B", "L2::256B", "L2::evict_last", "L2::evict_normal", "L2::evict_first",
    ];

    /// <summary>Takes what says how memory is ordered and cached. Returns whether a cache policy is among the operands.</summary>
    internal static bool Hints(PtxDecoder d)
    {
        if (d.OneOf("relaxed", "acquire", "release", "acq_rel") is not null && d.OneOf("cta", "cluster", "gpu", "sys") is null)
            throw d.Error("the scope is missing");
        if (d.Flag("mmio")) throw d.Error("mapped devices are not known");
        d.OneOf("weak", "volatile");
        while (d.OneOf(s_hints) is not null) { }
        return d.Flag("L2::cache_hint");
    }

    /// <summary>Takes the space and gives the type that accesses it. Parameters of functions lie in local memory.</summary>
    internal static Type Space(PtxDecoder d, int address)
    {
        string? space = d.OneOf("global", "shared", "shared::cta", "shared::cluster", "local", "const", "param", "param::entry", "param::func");
        if (d.Variable(address) is { } variable && space?.Split("::")[0] is var expected && expected != variable.Space switch
        {
            PtxSpace.Global => "global",
            PtxSpace.Constant => "const",
            PtxSpace.Shared => "shared",
            PtxSpace.Local => "local",
            _ => "param",
        }) throw d.Error($"'{variable.Name}' lies in another space");
        return space switch
        {
            null => typeof(GenericSpace),
            "global" or "const" => typeof(GlobalSpace),
            "shared" or "shared::cta" or "shared::cluster" => typeof(SharedSpace),
            "local" or "param::func" => typeof(LocalSpace),
            _ => d.Variable(address) is { IsEntryParameter: false } ? typeof(LocalSpace) : typeof(ParameterSpace),
        };
    }

    private static int Vector(PtxDecoder d) => d.OneOf("v2", "v4") is { } vector ? vector[1] - '0' : 1;

    private static Type Element(PtxDecoder d, PtxType type) => type switch
    {
        PtxType.Pred or PtxType.B128 or PtxType.Tf32 or PtxType.F16x2 or PtxType.Bf16x2 or PtxType.Bf16 or PtxType.F16 =>
            throw d.Error("the type cannot be loaded or stored"),
        PtxType.F32 => typeof(uint),
        PtxType.F64 => typeof(ulong),
        _ => type.Clr(),
    };

    private static PtxOp Load(PtxDecoder d)
    {
        bool policy = Hints(d);
        d.Count(policy ? 3 : 2);
        int vector = Vector(d);
        Type space = Space(d, 1);
        PtxType type = d.Type();
        if (policy) d.Source(2, PtxType.B64);
        int[] targets = d.Targets(0, vector, type, wide: true);
        int register = d.RegisterSize(d.Elements(0, vector)[0], type);
        PtxDecoder.Place place = d.Address(1);
        return PtxDecoder.Make(typeof(LoadOp<,>), [space, Element(d, type)], targets, place.Slot, place.Offset, ulong.MaxValue >> (64 - 8 * register));
    }

    private static PtxOp Store(PtxDecoder d)
    {
        bool policy = Hints(d);
        d.Count(policy ? 3 : 2);
        int vector = Vector(d);
        Type space = Space(d, 0);
        PtxType type = d.Type();
        if (policy) d.Source(2, PtxType.B64);
        PtxDecoder.Place place = d.Address(0);
        return PtxDecoder.Make(typeof(StoreOp<,>), [space, Element(d, type)], d.Sources(1, vector, type, wide: true), place.Slot, place.Offset);
    }

    private static PtxOp Prefetch(PtxDecoder d)
    {
        d.Count(1);
        d.OneOf("global", "local", "const", "param");
        if (d.OneOf("L1", "L2", "L2::evict_last", "L2::evict_normal", "tensormap") is null) throw d.Error("the level is missing");
        PtxDecoder.Place place = d.Address(0);
        return new NothingOp(place.Slot);
    }

    private static PtxOp Fence(PtxDecoder d)
    {
        d.Count(0);
        bool known;
        if (d.Root == "membar") known = d.OneOf("cta", "gl", "sys") is not null;
        else if (d.Flag("proxy"))
        {
            d.Need("async");
            return d.OneOf("global", "shared::cta", "shared::cluster") == "global" ? new NothingOp(-1) : new ProxyFenceOp();
        }
        else if (d.Flag("mbarrier_init")) known = d.Flag("release") && d.Flag("cluster");
        else
        {
            d.OneOf("sc", "acq_rel");
            known = d.OneOf("cta", "cluster", "gpu", "sys") is not null;
        }
        if (!known) throw d.Error("the fence is not known");
        return new NothingOp(-1);
    }

    private sealed class ProxyFenceOp : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask) => warp.FenceProxy();
    }

    private sealed unsafe class NothingOp(int read) : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            if (read >= 0) warp.Read(read, mask);
        }
    }

    private sealed unsafe class LoadOp<TSpace, T>(int[] targets, int address, ulong offset, ulong register) : PtxPlainOp
        where TSpace : struct, IPtxSpace where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            ulong* at = warp.Read(address, mask);
            int count = targets.Length, size = count * sizeof(T);
            // The address register may be among the targets: all is read before anything is written.
            ulong* values = stackalloc ulong[count * 32];
            for (uint rest = mask; rest != 0; rest &= rest - 1)
            {
                int lane = BitOperations.TrailingZeroCount(rest);
                T* from = (T*)TSpace.Access(warp, lane, at[lane] + offset, size, PtxAccess.Read);
                for (int i = 0; i < count; i++) values[i * 32 + lane] = T.IsNegative(T.MinValue) ? ulong.CreateTruncating(from[i]) & register : Bits.Of(from[i]);
            }
            for (int i = 0; i < count; i++)
            {
                ulong* y = warp.Write(targets[i], mask), x = values + i * 32;
                if (mask == uint.MaxValue) new Span<ulong>(x, 32).CopyTo(new Span<ulong>(y, 32));
                else
                    for (uint rest = mask; rest != 0; rest &= rest - 1)
                    {
                        int lane = BitOperations.TrailingZeroCount(rest);
                        y[lane] = x[lane];
                    }
            }
        }
    }

    private sealed unsafe class StoreOp<TSpace, T>(int[] sources, int address, ulong offset) : PtxPlainOp
        where TSpace : struct, IPtxSpace where T : unmanaged
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            ulong* at = warp.Read(address, mask);
            int count = sources.Length, size = count * sizeof(T);
            foreach (int source in sources) warp.Read(source, mask);
            for (; mask != 0; mask &= mask - 1)
            {
                int lane = BitOperations.TrailingZeroCount(mask);
                T* to = (T*)TSpace.Access(warp, lane, at[lane] + offset, size, PtxAccess.Write);
                for (int i = 0; i < count; i++) to[i] = Bits.To<T>(warp.Registers[sources[i] * 32 + lane]);
            }
        }
    }
}
