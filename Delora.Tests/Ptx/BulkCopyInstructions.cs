using System.Numerics;

namespace Delora.Tests.Ptx;

/// <summary>
/// Copies in bulk and of tiles from global to shared memory, whose bytes a barrier object counts (PTX ISA, "cp.async.bulk", "cp.async.bulk.tensor"). They
/// land at once, but only whoever has waited for the object may read them.
/// </summary>
internal static class BulkCopyInstructions
{
    /// <summary>The modifiers .async.bulk were taken.</summary>
    internal static PtxOp Decode(PtxDecoder d)
    {
        bool isTensor = d.Flag("tensor");
        int rank = !isTensor ? 0 : d.OneOf("1d", "2d", "3d", "4d", "5d") is { } dimensions ? dimensions[0] - '0' : throw d.Error("the number of dimensions is missing");
        if (d.OneOf("shared::cluster", "shared::cta") is null) throw d.Error("only copies to shared memory are known");
        d.Need("global");
        if (isTensor) d.Flag("tile");
        d.Need("mbarrier::complete_tx::bytes");
        bool policy = d.Flag("L2::cache_hint");
        int operands = (isTensor ? 3 : 4) + (policy ? 1 : 0);
        d.Count(operands);
        if (policy) d.Source(operands - 1, PtxType.B64);
        if (!isTensor) return new BulkOp(d.Address(0), d.Address(1), d.Source(2, PtxType.U32), d.Address(3));
        if (d.Operands[1] is not { Kind: PtxOperandKind.Address, Parts: [{ } map, { Kind: PtxOperandKind.Vector } coordinates] } || coordinates.Parts.Length != rank)
            throw d.Error($"[map, {{coordinates}}] of {rank} dimensions is expected");
        PtxDecoder.Place place = d.AddressOf(new(PtxOperandKind.Address, "", 0, 0, false, [map]));
        return new TensorOp(d.Address(0), place, [.. coordinates.Parts.Select(part => d.SourceOf(part, PtxType.S32))], d.Address(2));
    }

    private sealed unsafe class BulkOp(PtxDecoder.Place to, PtxDecoder.Place from, int size, PtxDecoder.Place barrier) : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            ulong* y = warp.Read(to.Slot, mask), x = warp.Read(from.Slot, mask), sizes = warp.Read(size, mask), at = warp.Read(barrier.Slot, mask);
            for (; mask != 0; mask &= mask - 1)
            {
                int lane = BitOperations.TrailingZeroCount(mask), bytes = (int)(uint)sizes[lane];
                ulong source = x[lane] + from.Offset, target = y[lane] + to.Offset;
                if (bytes <= 0 || bytes % 16 != 0) throw warp.Fault<PtxLimitFault>(lane, $"a bulk copy of {bytes} bytes");
                if ((source | target) % 16 != 0) throw warp.Fault<MisalignedFault>(lane, $"a bulk copy from 0x{source:x} to {target}");
                PtxBarrierObject found = warp.Group.Objects.Find(warp, lane, at[lane] + barrier.Offset);
                byte* data = warp.GlobalBytes(lane, source, bytes);
                for (int i = 0; i < bytes; i += 16) warp.Group.Shared.Put(warp, lane, target + (ulong)i, data + i, 16, found);
                found.Complete(bytes);
            }
        }
    }

    private sealed unsafe class TensorOp(PtxDecoder.Place to, PtxDecoder.Place map, int[] coordinates, PtxDecoder.Place barrier) : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask)
        {
            ulong* y = warp.Read(to.Slot, mask), maps = warp.Read(map.Slot, mask), at = warp.Read(barrier.Slot, mask);
            foreach (int coordinate in coordinates) warp.Read(coordinate, mask);
            for (; mask != 0; mask &= mask - 1)
            {
                int lane = BitOperations.TrailingZeroCount(mask);
                ulong where = maps[lane] + map.Offset;
                if (where % 64 != 0) throw warp.Fault<MisalignedFault>(lane, $"a tensor map at 0x{where:x}");
                // Aligned to 64 bytes, of which two have to be there.
                byte* bytes = GenericSpace.Access(warp, lane, where, 64, PtxAccess.Read);
                GenericSpace.Access(warp, lane, where + 64, 64, PtxAccess.Read);
                PtxTensorMap tensor = PtxTensorMap.Decode(bytes) ?? throw warp.Fault<PtxLimitFault>(lane, "there is no tensor map");
                if (tensor.Sizes.Length != coordinates.Length)
                    throw warp.Fault<PtxLimitFault>(lane, $"a tensor map of {tensor.Sizes.Length} dimensions for a copy of {coordinates.Length}");
                PtxBarrierObject found = warp.Group.Objects.Find(warp, lane, at[lane] + barrier.Offset);
                Copy(warp, lane, tensor, y[lane] + to.Offset, found);
                found.Complete(tensor.Box.Aggregate((long)tensor.ElementBytes, (product, size) => product * size));
            }
        }

        private void Copy(PtxWarp warp, int lane, PtxTensorMap tensor, ulong target, PtxBarrierObject barrier)
        {
            int rowBytes = tensor.Box[0] * tensor.ElementBytes, limit = tensor.Swizzle == PtxSwizzle.None ? int.MaxValue : 16 << (int)tensor.Swizzle;
            if (rowBytes % 16 != 0 || rowBytes > limit) throw warp.Fault<PtxLimitFault>(lane, $"a tile with rows of {rowBytes} bytes, swizzled {tensor.Swizzle}");
            if (target % 128 != 0) throw warp.Fault<MisalignedFault>(lane, $"a tile at the shared address {target}");
            int rank = tensor.Box.Length;
            long rows = tensor.Box.Skip(1).Aggregate(1L, (product, size) => product * size);
            byte* chunk = stackalloc byte[16];
            for (long row = 0; row < rows; row++)
            {
                ulong address = tensor.Address;
                bool inside = true;
                long rest = row;
                for (int i = 1; i < rank; i++)
                {
                    long at = Coordinate(warp, lane, i) + rest % tensor.Box[i];
                    rest /= tensor.Box[i];
                    inside &= at >= 0 && at < tensor.Sizes[i];
                    address += (ulong)(at * tensor.Strides[i - 1]);
                }
                for (int offset = 0; offset < rowBytes; offset += 16)
                {
                    for (int i = 0; i < 16; i += tensor.ElementBytes)
                    {
                        long column = Coordinate(warp, lane, 0) + (offset + i) / tensor.ElementBytes;
                        bool exists = inside && column >= 0 && column < tensor.Sizes[0];
                        byte* source = exists ? warp.Global(lane, address + (ulong)(column * tensor.ElementBytes), tensor.ElementBytes, false) : null;
                        // What lies outside of the tensor is zero.
                        for (int k = 0; k < tensor.ElementBytes; k++) chunk[i + k] = exists ? source[k] : (byte)0;
                    }
                    ulong place = PtxTensorMap.Permute(target + (ulong)(row * rowBytes + offset), tensor.Swizzle);
                    warp.Group.Shared.Put(warp, lane, place, chunk, 16, barrier);
                }
            }
        }

        private long Coordinate(PtxWarp warp, int lane, int dimension) => (int)warp.Registers[coordinates[dimension] * 32 + lane];
    }
}
