using System.Numerics;

namespace Delora.Tests.Ptx;

/// <summary>
/// Asynchronous copies of threads from global to shared memory (PTX ISA, "cp.async" and its groups). The bytes appear when the thread waits for them, and
/// until then the place counts as not written; other threads see them after a barrier.
/// </summary>
internal static class CopyInstructions
{
    internal static IEnumerable<(string, Func<PtxDecoder, PtxOp>)> All() => [("cp", Decode), ("createpolicy", Policy)];

    private static PtxOp Decode(PtxDecoder d)
    {
        d.Need("async");
        if (d.Flag("commit_group")) return Empty(d, new CommitOp());
        if (d.Flag("wait_all")) return Empty(d, new WaitOp(null));
        if (d.Flag("wait_group"))
        {
            d.Count(1);
            return d.Operands[0].Kind == PtxOperandKind.Integer && d.Operands[0].Bits < 1000
                ? new WaitOp((int)d.Operands[0].Bits) : throw d.Error("the number of groups is no constant");
        }
        if (d.Flag("bulk")) return BulkCopyInstructions.Decode(d);
        if (d.Flag("mbarrier")) throw d.Error("this asynchronous copy is not known");
        string cache = d.OneOf("ca", "cg") ?? throw d.Error("one of .ca and .cg is missing");
        if (d.OneOf("shared", "shared::cta") is null) throw d.Error("copies go to shared memory");
        d.Need("global");
        bool policy = d.Flag("L2::cache_hint");
        d.OneOf("L2::64B", "L2::128B", "L2::256B");
        d.Count(3, 5);
        if (policy) d.Source(d.Operands.Length - 1, PtxType.B64);
        int operands = d.Operands.Length - (policy ? 1 : 0);
        if (operands > 4) throw d.Error("too many operands");
        if (d.Operands[2] is not { Kind: PtxOperandKind.Integer, Bits: 4 or 8 or 16 } size || (cache == "cg" && size.Bits != 16))
            throw d.Error("a copy has 4, 8 or 16 bytes, with .cg 16");
        return new CopyOp(d.Address(0), d.Address(1), (int)size.Bits, operands == 4 ? d.Source(3, PtxType.B32) : -1);
    }

    private static PtxOp Empty(PtxDecoder d, PtxOp op)
    {
        d.Count(0);
        return op;
    }

    // A policy is a hint: any value will do.
    private static PtxOp Policy(PtxDecoder d)
    {
        if (d.OneOf("fractional", "range") is null) throw d.Error("only .fractional and .range are known");
        d.Flag("global");
        while (d.OneOf("L2::evict_last", "L2::evict_normal", "L2::evict_first", "L2::evict_unchanged") is not null) { }
        d.Need("b64");
        d.Count(1, 4);
        return new FunctionOp(d.Target(0, PtxType.B64), d.Compiler.Constant(1), policy => policy);
    }

    private sealed unsafe class CopyOp(PtxDecoder.Place to, PtxDecoder.Place from, int size, int sourceSize) : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            ulong* y = warp.Read(to.Slot, mask), x = warp.Read(from.Slot, mask), bytes = sourceSize < 0 ? null : warp.Read(sourceSize, mask);
            for (; mask != 0; mask &= mask - 1)
            {
                int lane = BitOperations.TrailingZeroCount(mask);
                ulong address = x[lane] + from.Offset;
                int read = bytes == null ? size : (int)(uint)bytes[lane];
                if ((uint)read > (uint)size) throw warp.Fault<PtxLimitFault>(lane, $"{read} bytes of the source for a copy of {size}");
                if (address % (uint)size != 0) throw warp.Fault<MisalignedFault>(lane, $"{size} bytes at the address 0x{address:x}");
                var copy = new PtxCopy { To = warp.Group.Shared.Locate(warp, lane, y[lane] + to.Offset, size), Size = size };
                // What is beyond the source is zero; a source of no bytes is not touched.
                byte* source = read == 0 ? null : warp.GlobalBytes(lane, address, read);
                for (int i = 0; i < read; i++) ((byte*)copy.Data)[i] = source[i];
                warp.Group.Shared.Launch(warp, lane, copy.To, size);
                warp.Add(lane, copy);
            }
        }
    }

    private sealed class CommitOp : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask) => warp.CommitCopies(mask);
    }

    private sealed class WaitOp(int? groups) : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask) => warp.WaitForCopies(mask, groups);
    }
}

/// <summary>A copy under way: what will be where.</summary>
internal unsafe struct PtxCopy
{
    internal byte* To;
    internal int Size, Group;
    internal fixed ulong Data[2];
}

// The copies that the lanes have under way.
internal sealed unsafe partial class PtxWarp
{
    private readonly List<PtxCopy>[] _copies = [.. Enumerable.Range(0, 32).Select(_ => new List<PtxCopy>())];
    private readonly int[] _group = new int[32];

    private void StartCopies()
    {
        foreach (List<PtxCopy> copies in _copies) copies.Clear();
        Array.Clear(_group);
    }

    internal void Add(int lane, PtxCopy copy)
    {
        copy.Group = _group[lane];
        _copies[lane].Add(copy);
    }

    internal void CommitCopies(uint mask)
    {
        for (; mask != 0; mask &= mask - 1) _group[BitOperations.TrailingZeroCount(mask)]++;
    }

    /// <summary>Lets all copies land but those of the last groups; null: also those that are in no group yet.</summary>
    internal void WaitForCopies(uint mask, int? groups)
    {
        for (; mask != 0; mask &= mask - 1)
        {
            int lane = BitOperations.TrailingZeroCount(mask);
            List<PtxCopy> copies = _copies[lane];
            int last = groups is { } left ? _group[lane] - left : int.MaxValue, kept = 0;
            for (int i = 0; i < copies.Count; i++)
            {
                PtxCopy copy = copies[i];
                if (copy.Group >= last) copies[kept++] = copy;
                else
                {
                    new ReadOnlySpan<byte>(copy.Data, copy.Size).CopyTo(new Span<byte>(copy.To, copy.Size));
                    Group.Shared.Land(copy.To, copy.Size, Thread(lane), Clock);
                }
            }
            copies.RemoveRange(kept, copies.Count - kept);
        }
    }

    /// <summary>Bytes at a global address, of any alignment.</summary>
    internal byte* GlobalBytes(int lane, ulong address, int size)
    {
        Global(lane, address, 1, false);
        Global(lane, address + (uint)size - 1, 1, false);
        return (byte*)address;
    }
}
