using System.Runtime.CompilerServices;

namespace Delora.Tests.Ptx;

/// <summary>What an access does.</summary>
internal enum PtxAccess { Read, Write, Atomic }

/// <summary>
/// The shared memory of a group. Every byte knows who wrote it last and who has read it since, so that a read of what nobody wrote is a fault, and so are
/// two accesses that nothing orders, one of them a write. Bytes of a word share what is known until an access to a part of it.
/// </summary>
internal sealed unsafe class PtxSharedMemory
{
    /// <summary>Shared addresses begin here, as on cards that keep the first 1024 bytes for themselves: address 0 is a fault.</summary>
    internal const int Start = 1024;

    private const short Nobody = -1, Pending = -2;
    private readonly byte[] _bytes;
    private readonly byte* _start;
    private readonly Cell[] _words;
    private readonly bool _findRaces;
    private Cell[]? _parts;

    internal PtxSharedMemory(int length, bool findRaces)
    {
        Length = length;
        _findRaces = findRaces;
        _bytes = GC.AllocateArray<byte>(length + 128, pinned: true);
        byte* any = (byte*)Unsafe.AsPointer(ref _bytes[0]);
        _start = any + (128 - (long)any % 128) % 128;
        _words = new Cell[(length + 3) / 4];
    }

    private struct Cell
    {
        internal int WriteClock, ReadClock, OtherClock;
        internal short Writer, Reader, Other;
        internal bool IsSplit, IsAtomic;
    }

    internal int Length { get; }

    internal void Clear() => Array.Fill(_words, new Cell { Writer = Nobody, Reader = Nobody, Other = Nobody });

    /// <summary>The bytes of an access of a lane, after its checks.</summary>
    internal byte* Access(PtxWarp warp, int lane, ulong address, int size, PtxAccess access)
    {
        byte* bytes = Locate(warp, lane, address, size);
        Note(warp, lane, bytes, size, access);
        return bytes;
    }

    /// <summary>The bytes at an address, which must be aligned and inside; nothing is noted.</summary>
    internal byte* Locate(PtxWarp warp, int lane, ulong address, int size)
    {
        if (address % (uint)size != 0) throw warp.Fault<MisalignedFault>(lane, $"{size} bytes at the shared address {address}");
        ulong at = address - Start;
        if (at > (ulong)Length || (ulong)Length - at < (uint)size)
            throw warp.Fault<OutOfBoundsFault>(lane, $"{size} bytes at the shared address {address}, and there are {Length} from {Start}");
        return _start + at;
    }

    /// <summary>An access by a thread, or by the asynchronous copies, at that offset.</summary>
    internal void Note(PtxWarp warp, int lane, int offset, int size, int thread, int clock, PtxAccess access)
    {
        for (int at = offset, end = offset + size; at < end;)
        {
            ref Cell word = ref _words[at >> 2];
            bool whole = (at & 3) == 0 && end - at >= 4;
            if (whole && !word.IsSplit)
            {
                Touch(ref word, warp, lane, at, thread, clock, access);
                at += 4;
                continue;
            }
            int stop = Math.Min(end, (at | 3) + 1);
            _parts ??= new Cell[_words.Length * 4];
            if (!word.IsSplit)
            {
                _parts.AsSpan(at & ~3, 4).Fill(word);
                word.IsSplit = true;
            }
            for (; at < stop; at++) Touch(ref _parts[at], warp, lane, at, thread, clock, access);
            if (whole && access == PtxAccess.Write) word = _parts[at - 1];
        }
    }

    /// <summary>An access by a lane to bytes that <see cref="Locate"/> gave.</summary>
    internal void Note(PtxWarp warp, int lane, byte* bytes, int size, PtxAccess access) =>
        Note(warp, lane, (int)(bytes - _start), size, warp.Thread(lane), warp.Clock, access);

    /// <summary>An asynchronous copy of a thread to there begins: until <see cref="Land"/> the bytes count as not written.</summary>
    internal void Launch(PtxWarp warp, int lane, byte* bytes, int size)
    {
        Note(warp, lane, bytes, size, PtxAccess.Write);
        Mark((int)(bytes - _start), size, Pending, 0);
    }

    /// <summary>An asynchronous copy has ended: it counts as written by that thread in that interval.</summary>
    internal void Land(byte* bytes, int size, int thread, int clock) => Mark((int)(bytes - _start), size, checked((short)thread), clock);

    /// <summary>
    /// An asynchronous read by the warp's product (16 bytes or more): what threads have written there must have been followed by a proxy fence, of theirs or
    /// of the warp's. Until <see cref="EndRead"/> nobody may write there.
    /// </summary>
    internal void ReadAsync(PtxWarp warp, int agent, byte* bytes, int size)
    {
        int offset = (int)(bytes - _start);
        for (int at = offset; at < offset + size; at += 4)
        {
            ref Cell cell = ref _words[at >> 2].IsSplit ? ref _parts![at] : ref _words[at >> 2];
            if (_findRaces && cell.Writer >= 0 && cell.Writer >> 5 is var writer && writer < warp.Group.WarpCount
                && warp.Group.Warps[writer].KnownAtProxyFence[writer] < cell.WriteClock && warp.KnownAtProxyFence[writer] < cell.WriteClock)
                throw warp.Fault<RaceFault>(0,
                    $"the shared byte {Start + at} was written by {warp.Group.Warps[writer].Where(cell.Writer & 31)}, and no fence.proxy.async came after that");
        }
        Note(warp, 0, offset, size, agent, int.MaxValue, PtxAccess.Read);
    }

    /// <summary>Asynchronous reads of an agent have ended: they count as those of the warp, now.</summary>
    internal void EndRead(PtxWarp warp, int agent, byte* bytes, int size)
    {
        int offset = (int)(bytes - _start);
        for (int at = offset; at < offset + size; at++)
        {
            if (!_words[at >> 2].IsSplit) End(ref _words[at >> 2]);
            else End(ref _parts![at]);
        }

        void End(ref Cell cell)
        {
            if (cell.Reader == agent) (cell.Reader, cell.ReadClock) = ((short)warp.Thread(0), warp.Clock);
            if (cell.Other == agent) (cell.Other, cell.OtherClock) = ((short)warp.Thread(0), warp.Clock);
        }
    }

    /// <summary>Bytes that a copy puts there which a barrier object counts: whoever reads them must have waited for it.</summary>
    internal void Put(PtxWarp warp, int lane, ulong address, byte* data, int size, PtxBarrierObject barrier)
    {
        byte* bytes = Locate(warp, lane, address, size);
        Note(warp, lane, bytes, size, PtxAccess.Write);
        new ReadOnlySpan<byte>(data, size).CopyTo(new Span<byte>(bytes, size));
        Land(bytes, size, barrier.Agent * 32, barrier.AgentClock);
    }

    /// <summary>Bytes whose contents are not for loads: a barrier object, or nothing any more.</summary>
    internal void Forget(PtxWarp warp, int lane, byte* bytes, int size)
    {
        Note(warp, lane, bytes, size, PtxAccess.Write);
        Mark((int)(bytes - _start), size, Nobody, 0);
    }

    private void Mark(int offset, int size, short writer, int clock)
    {
        var cell = new Cell { Writer = writer, WriteClock = clock, Reader = Nobody, Other = Nobody };
        if (size < 4) throw new InvalidOperationException("asynchronous copies have at least four bytes");
        for (int at = offset; at < offset + size; at += 4) _words[at >> 2] = cell;
    }

    private void Touch(ref Cell cell, PtxWarp warp, int lane, int offset, int thread, int clock, PtxAccess access)
    {
        if (cell.Writer < 0 && (access != PtxAccess.Write || cell.Writer == Pending))
            throw warp.Fault<UnwrittenMemoryFault>(lane, cell.Writer == Pending
                ? $"the shared byte {Start + offset} is written by an asynchronous copy that was not waited for"
                : $"the shared byte {Start + offset} was never written");
        bool bothAtomic = cell.IsAtomic && access == PtxAccess.Atomic;
        if (cell.Writer >= 0 && cell.Writer != thread && !bothAtomic && _findRaces && !warp.Follows(cell.Writer, cell.WriteClock))
            throw Race(warp, lane, offset, access == PtxAccess.Read ? "read" : "written", "written", cell.Writer);
        if (access == PtxAccess.Read)
        {
            if (cell.Reader < 0 || cell.Reader == thread || warp.Follows(cell.Reader, cell.ReadClock))
                (cell.Reader, cell.ReadClock) = ((short)thread, clock);
            else (cell.Other, cell.OtherClock) = ((short)thread, clock);
            return;
        }
        if (_findRaces)
        {
            if (cell.Reader >= 0 && cell.Reader != thread && !warp.Follows(cell.Reader, cell.ReadClock)) throw Race(warp, lane, offset, "written", "read", cell.Reader);
            if (cell.Other >= 0 && cell.Other != thread && !warp.Follows(cell.Other, cell.OtherClock)) throw Race(warp, lane, offset, "written", "read", cell.Other);
        }
        cell.Writer = (short)thread;
        cell.WriteClock = clock;
        cell.Reader = cell.Other = Nobody;
        cell.IsAtomic = access == PtxAccess.Atomic;
    }

    private static RaceFault Race(PtxWarp warp, int lane, int offset, string now, string before, int other) =>
        warp.Fault<RaceFault>(lane,
            $"the shared byte {Start + offset} is {now}, and nothing orders that after it was {before} by "
            + (other >= warp.Group.WarpCount * 32 ? "an asynchronous copy or product" : warp.Group.Warps[other >> 5].Where(other & 31)));
}
