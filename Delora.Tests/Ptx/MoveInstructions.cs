using System.Numerics;

namespace Delora.Tests.Ptx;

/// <summary>Moving, packing and unpacking, addresses and clocks (PTX ISA, "Data Movement and Conversion Instructions").</summary>
internal static class MoveInstructions
{
    internal static IEnumerable<(string, Func<PtxDecoder, PtxOp>)> All() =>
        [("mov", Move), ("cvta", ConvertAddress), ("isspacep", IsSpace), ("nanosleep", Sleep)];

    private static PtxOp Move(PtxDecoder d)
    {
        d.Count(2);
        PtxType type = d.Type();
        PtxOperand source = d.Operands[1], target = d.Operands[0];
        if (type == PtxType.Pred)
            return source.Kind == PtxOperandKind.Integer ? new ConstantPredicate(d.PredicateOf(target), source.Bits != 0)
                : new CopyPredicate(d.PredicateOf(target), d.PredicateSource(1));
        if (source is { Kind: PtxOperandKind.Name, Name: "%clock" or "%clock64" or "%globaltimer" or "%clock_hi" or "%globaltimer_lo" or "%globaltimer_hi" })
            return new ClockOp(d.Target(0, type), type.Size() == 8, source.Name.EndsWith("hi", StringComparison.Ordinal));
        if (source.Kind == PtxOperandKind.Vector)
            return new PackOp(d.Target(0, type), d.Sources(1, source.Parts.Length, Part(d, type, source.Parts.Length)), 8 * type.Size() / source.Parts.Length);
        if (target.Kind == PtxOperandKind.Vector)
            return new UnpackOp(d.Targets(0, target.Parts.Length, Part(d, type, target.Parts.Length)), d.Source(1, type),
                8 * type.Size() / target.Parts.Length);
        if (type.Size() < 2) throw d.Error("the type is not known here");
        return new UnaryOp<Copy>(d.Target(0, type), d.Source(1, type));
    }

    private static PtxType Part(PtxDecoder d, PtxType type, int count) => (type.Size(), count) switch
    {
        (8, 2) => PtxType.B32,
        (8, 4) => PtxType.B16,
        (4, 2) => PtxType.B16,
        (4, 4) => PtxType.B8,
        (2, 2) => PtxType.B8,
        _ => throw d.Error("so many parts do not make the type"),
    };

    private static PtxOp ConvertAddress(PtxDecoder d)
    {
        d.Count(2);
        bool toSpace = d.Flag("to");
        string space = d.OneOf("global", "shared", "shared::cta", "local", "const", "param") ?? throw d.Error("the space is missing");
        PtxType type = d.Type();
        if (type is not (PtxType.U64 or PtxType.U32) || (type == PtxType.U32 && space is "global" or "const")) throw d.Error("the type does not fit");
        ulong window = space switch { "shared" or "shared::cta" => PtxWindows.Shared, "local" => PtxWindows.Local, "param" => PtxWindows.Parameter, _ => 0 };
        if (type == PtxType.U32) throw d.Error("generic addresses have 64 bits");
        return new AddressOp(d.Target(0, type), d.Source(1, type), window, toSpace, space);
    }

    private static PtxOp IsSpace(PtxDecoder d)
    {
        d.Count(2);
        string space = d.OneOf("global", "shared", "shared::cta", "shared::cluster", "local", "const", "param") ?? throw d.Error("the space is missing");
        if (space is "const") throw d.Error("constant memory is not told from global memory");
        ulong window = space switch { "global" => 0, "local" => PtxWindows.Local, "param" => PtxWindows.Parameter, _ => PtxWindows.Shared };
        return new IsSpaceOp(d.PredicateOf(d.Operands[0]), d.Source(1, PtxType.U64), window);
    }

    private static PtxOp Sleep(PtxDecoder d)
    {
        d.Count(1);
        d.Need("u32");
        return new YieldOp(d.Source(0, PtxType.U32));
    }

    private readonly struct Copy : IUnaryLane
    {
        public static ulong Apply(ulong a) => a;
    }

    private sealed class ConstantPredicate(int target, bool value) : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask) => warp.SetPredicate(target, mask, value ? uint.MaxValue : 0);
    }

    private sealed class CopyPredicate(int target, PredicateSource source) : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask) => warp.SetPredicate(target, mask, source.Read(warp, mask));
    }

    private sealed class YieldOp(int duration) : PtxPlainOp
    {
        internal override unsafe void Run(PtxWarp warp, uint mask)
        {
            warp.Read(duration, mask);
            warp.Yields = true;
        }
    }

    // Time counts the instructions of the group.
    private sealed unsafe class ClockOp(int target, bool isLong, bool isHigh) : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            ulong* y = warp.Write(target, mask);
            ulong now = (ulong)warp.Group.Instructions;
            for (; mask != 0; mask &= mask - 1) y[BitOperations.TrailingZeroCount(mask)] = isHigh ? now >> 32 : isLong ? now : (uint)now;
            warp.Yields = true;
        }
    }

    private sealed unsafe class PackOp(int target, int[] parts, int size) : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            ulong* result = stackalloc ulong[32];
            for (int i = 0; i < parts.Length; i++)
            {
                ulong* x = warp.Read(parts[i], mask);
                for (int lane = 0; lane < 32; lane++) result[lane] = (i == 0 ? 0 : result[lane]) | x[lane] << (size * i);
            }
            ulong* y = warp.Write(target, mask);
            for (; mask != 0; mask &= mask - 1)
            {
                int lane = BitOperations.TrailingZeroCount(mask);
                y[lane] = result[lane];
            }
        }
    }

    private sealed unsafe class UnpackOp(int[] targets, int source, int size) : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            ulong* x = warp.Read(source, mask), copy = stackalloc ulong[32];
            for (int lane = 0; lane < 32; lane++) copy[lane] = x[lane];
            for (int i = 0; i < targets.Length; i++)
            {
                ulong* y = warp.Write(targets[i], mask);
                for (uint rest = mask; rest != 0; rest &= rest - 1)
                {
                    int lane = BitOperations.TrailingZeroCount(rest);
                    y[lane] = copy[lane] >> (size * i) & ((1UL << size) - 1);
                }
            }
        }
    }

    private sealed unsafe class AddressOp(int target, int source, ulong window, bool toSpace, string space) : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            ulong* x = warp.Read(source, mask), y = warp.Write(target, mask);
            for (; mask != 0; mask &= mask - 1)
            {
                int lane = BitOperations.TrailingZeroCount(mask);
                if ((x[lane] & PtxWindows.Mask) != (toSpace ? window : 0))
                    throw warp.Fault<OutOfBoundsFault>(lane, $"0x{x[lane]:x} is no {(toSpace ? "generic address of" : "address in")} the {space} space");
                y[lane] = x[lane] ^ window;
            }
        }
    }

    private sealed unsafe class IsSpaceOp(int target, int source, ulong window) : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            ulong* x = warp.Read(source, mask);
            uint result = 0;
            for (uint rest = mask; rest != 0; rest &= rest - 1)
            {
                int lane = BitOperations.TrailingZeroCount(rest);
                if ((x[lane] & PtxWindows.Mask) == window) result |= 1u << lane;
            }
            warp.SetPredicate(target, mask, result);
        }
    }
}
