using System.Numerics;

namespace Delora.Tests.Ptx;

/// <summary>
/// The 16 barriers of a group (PTX ISA, "bar, barrier"). Without a number of threads all threads of the group that have not exited are waited for; with
/// one, as many as it says, counted by whole warps.
/// </summary>
internal sealed class PtxBarriers
{
    private readonly PtxBarrier[] _all;

    internal PtxBarriers(PtxGroup group) => _all = [.. Enumerable.Range(0, 16).Select(_ => new PtxBarrier(group.WarpCount))];

    internal PtxBarrier this[int id] => _all[id];

    internal void Clear()
    {
        foreach (PtxBarrier barrier in _all) barrier.Clear();
    }

    /// <summary>Lets go whom an arrival or an exit has freed.</summary>
    internal void Check(PtxGroup group)
    {
        foreach (PtxBarrier barrier in _all)
            if (barrier.IsComplete(group)) barrier.Open(group);
    }
}

/// <summary>One barrier: who waits, how many have arrived, and what their predicates said.</summary>
internal sealed class PtxBarrier(int warps)
{
    private readonly uint[] _waiting = new uint[warps];
    private readonly int[] _clock = new int[warps + PtxAgents.Count];
    private int? _expected;
    private bool _used;
    private int _arrived, _count;
    private bool _all, _any;

    internal void Clear()
    {
        Array.Clear(_waiting);
        Array.Clear(_clock);
        (_expected, _used, _arrived, _count, _all, _any) = (null, false, 0, 0, true, false);
    }

    /// <summary>Lanes arrive: <paramref name="expected"/> threads or, if null, all of the group; <paramref name="predicates"/> says for whom theirs holds.</summary>
    internal void Arrive(PtxWarp warp, uint mask, int? expected, bool waits, uint predicates, bool byWarp)
    {
        if (_used && _expected != expected)
            throw warp.Fault<BarrierFault>(
                BitOperations.TrailingZeroCount(mask), $"the barrier is waited for with {Count(_expected)} and with {Count(expected)}");
        (_expected, _used) = (expected, true);
        warp.Release(_clock);
        _arrived += byWarp ? 32 : BitOperations.PopCount(mask);
        _count += BitOperations.PopCount(predicates & mask);
        _all &= (predicates & mask) == mask;
        _any |= (predicates & mask) != 0;
        if (waits)
        {
            _waiting[warp.Index] |= mask;
            warp.AtBarrier |= mask;
        }
        if (_expected < _arrived)
            throw warp.Fault<BarrierFault>(BitOperations.TrailingZeroCount(mask), $"{_arrived} threads have arrived at a barrier of {_expected}");
    }

    private static string Count(int? expected) => expected is { } count ? $"{count} threads" : "all threads";

    internal bool IsComplete(PtxGroup group)
    {
        if (!_used) return false;
        if (_expected is { } count) return _arrived == count;
        foreach (PtxWarp warp in group.Warps)
            if (warp.Live != _waiting[warp.Index]) return false;
        return true;
    }

    /// <summary>Lets all go that wait, and begins anew.</summary>
    internal void Open(PtxGroup group)
    {
        foreach (PtxWarp warp in group.Warps)
        {
            uint mask = _waiting[warp.Index];
            if (mask == 0) continue;
            warp.Acquire(_clock);
            warp.AtBarrier &= ~mask;
            for (uint rest = mask; rest != 0; rest &= rest - 1)
            {
                int lane = BitOperations.TrailingZeroCount(rest), place = warp.Place(lane);
                ((BarrierOp)group.Program.Ops[place]).Finish(warp, 1u << lane, _count, _all, _any);
                warp.SetPlaces(1u << lane, place + 1);
            }
        }
        Clear();
    }
}
