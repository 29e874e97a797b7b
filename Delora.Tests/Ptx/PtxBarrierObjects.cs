namespace Delora.Tests.Ptx;

/// <summary>
/// What acts beside the warps in a group's vector clocks: the copies that complete at a barrier object, one agent for each object, and the products under way,
/// one for each warp. An agent's "thread" is the first lane of a warp behind the last one.
/// </summary>
internal static class PtxAgents
{
    internal const int Objects = 64, Products = 32, Count = Objects + Products;

    /// <summary>The place in vector clocks of a barrier object's copies.</summary>
    internal static int OfObject(PtxGroup group, int index) => group.WarpCount + index;

    /// <summary>The place of the products of a warp.</summary>
    internal static int OfProducts(PtxWarp warp) => warp.Group.WarpCount + Objects + warp.Index;
}

/// <summary>The barrier objects (mbarrier) of a group, by their places in shared memory.</summary>
internal sealed class PtxBarrierObjects(PtxGroup group)
{
    private readonly Dictionary<ulong, PtxBarrierObject> _all = [];

    internal void Clear() => _all.Clear();

    internal PtxBarrierObject Create(PtxWarp warp, int lane, ulong address, uint count)
    {
        if (_all.ContainsKey(address)) throw warp.Fault<BarrierFault>(lane, "there is a barrier object already, which was not made invalid");
        if (count is 0 or >= 1 << 20) throw warp.Fault<PtxLimitFault>(lane, $"a barrier object for {count} arrivals");
        if (_all.Count == PtxAgents.Objects) throw warp.Fault<PtxLimitFault>(lane, $"more than {PtxAgents.Objects} barrier objects");
        int agent = Enumerable.Range(0, PtxAgents.Objects).First(index => _all.Values.All(other => other.Agent != PtxAgents.OfObject(group, index)));
        return _all[address] = new PtxBarrierObject(warp, lane, count, PtxAgents.OfObject(group, agent));
    }

    internal void Remove(PtxWarp warp, int lane, ulong address)
    {
        Find(warp, lane, address);
        _all.Remove(address);
    }

    internal PtxBarrierObject Find(PtxWarp warp, int lane, ulong address)
    {
        if (!_all.TryGetValue(address, out PtxBarrierObject? found)) throw warp.Fault<BarrierFault>(lane, $"there is no barrier object at the shared address {address}");
        found.CheckVisible(warp, lane);
        return found;
    }
}

/// <summary>
/// A barrier object: a phase ends when all arrivals have come and all bytes that were announced have been copied (PTX ISA, "mbarrier"); the next begins at
/// once.
/// </summary>
internal sealed class PtxBarrierObject
{
    private readonly uint _count;
    private readonly int _thread, _clock;
    private readonly int[] _arriving, _completed;
    private long _pending, _bytes;

    internal PtxBarrierObject(PtxWarp warp, int lane, uint count, int agent)
    {
        Agent = agent;
        _count = count;
        _pending = count;
        _thread = warp.Thread(lane);
        _clock = warp.Clock;
        _arriving = new int[warp.Known.Length];
        _completed = new int[warp.Known.Length];
    }

    /// <summary>The place of its copies in vector clocks, and their interval.</summary>
    internal int Agent { get; }

    internal int AgentClock { get; private set; } = 1;

    /// <summary>The phase under way, counted from 0.</summary>
    internal long Phase { get; private set; }

    /// <summary>Whoever uses it must come after the thread that made it.</summary>
    internal void CheckVisible(PtxWarp warp, int lane)
    {
        if (warp.Group.Options.FindRaces && warp.Thread(lane) != _thread && !warp.Follows(_thread, _clock))
            throw warp.Fault<RaceFault>(lane, $"nothing orders this after the barrier object was made by {warp.Group.Warps[_thread >> 5].Where(_thread & 31)}");
    }

    internal void Arrive(PtxWarp warp, int lane, long arrivals, long bytes)
    {
        _bytes += bytes;
        _pending -= arrivals;
        if (_pending < 0) throw warp.Fault<BarrierFault>(lane, $"more arrivals in a phase than {_count}");
        if (arrivals > 0) warp.Release(_arriving);
        Check();
    }

    /// <summary>Bytes have been copied.</summary>
    internal void Complete(long bytes)
    {
        _bytes -= bytes;
        _arriving[Agent] = AgentClock++;
        Check();
    }

    /// <summary>Whether a phase has ended; if so, all of it comes before what the warp does from now on.</summary>
    internal bool HasEnded(PtxWarp warp, bool ended)
    {
        if (ended) warp.Acquire(_completed);
        return ended;
    }

    private void Check()
    {
        if (_pending != 0 || _bytes != 0) return;
        Phase++;
        _pending = _count;
        for (int i = 0; i < _completed.Length; i++) _completed[i] = Math.Max(_completed[i], _arriving[i]);
    }
}
