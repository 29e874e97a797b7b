namespace Delora.Tests.Ptx;

// What a warp knows to have happened: a vector clock, from which races in shared memory are found.
internal sealed unsafe partial class PtxWarp
{
    /// <summary>
    /// For each warp of the group the interval up to which its accesses come before what this warp does now; behind the warps stand the asynchronous agents
    /// of <see cref="PtxAgents"/>.
    /// </summary>
    internal int[] Known { get; }

    /// <summary>What this warp knew at its last fence between generic and asynchronous accesses.</summary>
    internal int[] KnownAtProxyFence { get; }

    /// <summary>The interval of this warp; synchronizing begins a new one.</summary>
    internal int Clock { get; private set; }

    private void StartClock()
    {
        Array.Clear(Known);
        Array.Clear(KnownAtProxyFence);
        Clock = 1;
    }

    /// <summary>Whether an access of that thread in that interval of its warp comes before what this warp does now.</summary>
    internal bool Follows(int thread, int clock) => Known[thread >> 5] >= clock;

    /// <summary>
    /// The lanes of this warp have met with a memory fence (<c>bar.warp.sync</c>). Where a mask leaves some of them out, they are taken to have met, too.
    /// </summary>
    internal void Meet() => Known[Index] = Clock++;

    /// <summary>fence.proxy.async: asynchronous reads see the generic writes from before. It orders nothing between threads.</summary>
    internal void FenceProxy()
    {
        Known.CopyTo(KnownAtProxyFence, 0);
        KnownAtProxyFence[Index] = Clock++;
    }

    /// <summary>Publishes what this warp has done and knows.</summary>
    internal void Release(int[] to)
    {
        Meet();
        for (int i = 0; i < Known.Length; i++) to[i] = Math.Max(to[i], Known[i]);
    }

    /// <summary>Takes over what others have published.</summary>
    internal void Acquire(int[] from)
    {
        for (int i = 0; i < Known.Length; i++) Known[i] = Math.Max(Known[i], from[i]);
    }
}
