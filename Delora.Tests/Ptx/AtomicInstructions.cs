using System.Numerics;

namespace Delora.Tests.Ptx;

/// <summary>Atomic operations (PTX ISA, "atom" and "red"): the lanes do theirs one after the other, lowest first.</summary>
internal static class AtomicInstructions
{
    internal static IEnumerable<(string, Func<PtxDecoder, PtxOp>)> All() => [("atom", Decode), ("red", Decode)];

    private static PtxOp Decode(PtxDecoder d)
    {
        bool returns = d.Root == "atom";
        d.OneOf("relaxed", "acquire", "release", "acq_rel");
        d.OneOf("cta", "cluster", "gpu", "sys");
        int address = returns ? 1 : 0;
        Type space = MemoryInstructions.Space(d, address);
        string name = d.OneOf("add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec") ?? throw d.Error("the operation is missing");
        bool exact = d.Flag("noftz");
        PtxType type = d.Type();
        d.Count(address + (name == "cas" ? 3 : 2));
        if (!returns && name is "exch" or "cas") throw d.Error("a reduction has no old value");
        if (exact != (type is PtxType.F16 or PtxType.Bf16 or PtxType.F16x2 or PtxType.Bf16x2)) throw d.Error(".noftz belongs to the narrow floats");
        Func<ulong, ulong, ulong, ulong> function = Function(d, name, type);
        PtxDecoder.Place place = d.Address(address);
        int b = d.Source(address + 1, type), c = name == "cas" ? d.Source(address + 2, type) : b;
        return PtxDecoder.Make(
            typeof(AtomicOp<>), [space], returns ? d.Target(0, type) : d.Compiler.Scratch(), place.Slot, place.Offset, b, c, type.Size(), function);
    }

    private static Func<ulong, ulong, ulong, ulong> Function(PtxDecoder d, string name, PtxType type)
    {
        ulong all = ulong.MaxValue >> (64 - 8 * type.Size());
        if (type.Size() < 4 && !type.IsFloat() && name != "cas") throw d.Error("the type is not known here");
        if (type.IsFloat())
        {
            return (name, type) switch
            {
                ("add", PtxType.F32) => (old, b, _) => Bits.Of(Bits.Single(old) + Bits.Single(b)),
                ("add", PtxType.F64) => (old, b, _) => Bits.Of(Bits.Double(old) + Bits.Double(b)),
                ("add", PtxType.F16) => Add<Float16Format>(),
                ("add", PtxType.Bf16) => Add<BFloat16Format>(),
                ("add", PtxType.F16x2) => Pair(Add<Float16Format>()),
                ("add", PtxType.Bf16x2) => Pair(Add<BFloat16Format>()),
                _ => throw d.Error("there is no such operation of floats"),
            };
        }
        bool signed = type.IsSigned(), wide = type.Size() == 8;
        long Value(ulong bits) => wide ? (long)bits : (int)bits;
        return name switch
        {
            "add" => (old, b, _) => (old + b) & all,
            "min" => (old, b, _) => (signed ? Value(old) < Value(b) : old < b) ? old : b,
            "max" => (old, b, _) => (signed ? Value(old) > Value(b) : old > b) ? old : b,
            "and" => (old, b, _) => old & b,
            "or" => (old, b, _) => old | b,
            "xor" => (old, b, _) => old ^ b,
            "exch" => (_, b, _) => b,
            "cas" => (old, b, c) => old == b ? c : old,
            "inc" when type == PtxType.U32 => (old, b, _) => old >= b ? 0 : old + 1,
            "dec" when type == PtxType.U32 => (old, b, _) => old == 0 || old > b ? b : old - 1,
            _ => throw d.Error("there is no such operation"),
        };
    }

    private static Func<ulong, ulong, ulong, ulong> Add<TFormat>() where TFormat : struct, IFloatFormat =>
        (old, b, _) => TFormat.Write(TFormat.Read(old) + TFormat.Read(b));

    private static Func<ulong, ulong, ulong, ulong> Pair(Func<ulong, ulong, ulong, ulong> one) =>
        (old, b, c) => one(old & 0xFFFF, b & 0xFFFF, c) | one(old >> 16, b >> 16, c) << 16;

    private sealed unsafe class AtomicOp<TSpace>(
        int target, int address, ulong offset, int b, int c, int size, Func<ulong, ulong, ulong, ulong> function) : PtxPlainOp where TSpace : struct, IPtxSpace
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            ulong* at = warp.Read(address, mask), x = warp.Read(b, mask), z = warp.Read(c, mask), y = warp.Write(target, mask);
            for (; mask != 0; mask &= mask - 1)
            {
                int lane = BitOperations.TrailingZeroCount(mask);
                byte* memory = TSpace.Access(warp, lane, at[lane] + offset, size, PtxAccess.Atomic);
                ulong old = size switch { 2 => *(ushort*)memory, 4 => *(uint*)memory, _ => *(ulong*)memory };
                ulong result = function(old, x[lane], z[lane]);
                if (size == 2) *(ushort*)memory = (ushort)result;
                else if (size == 4) *(uint*)memory = (uint)result;
                else *(ulong*)memory = result;
                y[lane] = old;
            }
        }
    }
}
