using System.Globalization;

namespace Delora.Kernels.Ptx;

// What cards of 9.0 have: barrier objects, copies of tiles that they count, and products of four warps (sm_90a, PTX 8.0).
internal sealed partial class PtxWriter
{
    /// <summary>Threads of a warpgroup: four warps, the first of which has a number that is a multiple of four.</summary>
    internal const int WarpgroupThreads = 128;

    /// <summary>The next parameter: a tensor map. Gives its address.</summary>
    internal B64 MapParameter(string name)
    {
        string parameter = BytesParameter(name, TensorMap.ByteLength, TensorMap.Alignment);
        return Result<B64>("cvta.param.u64", Result<B64>("mov.b64", parameter)).As(name);
    }

    /// <summary>The value of the warp's first lane, so that the assembler knows it to be the same in all.</summary>
    internal B32 OfFirstLane(B32 value) => Result<B32>("shfl.sync.idx.b32", value, 0, 31, "0xffffffff");

    /// <summary>Whether the thread is the one of its warp that is to do something alone.</summary>
    internal Pred Elect()
    {
        PtxElection election = new(New<B32>("elected_lane"), New<Pred>("is_elected"));
        Emit("elect.sync", election, "0xffffffff");
        return election.IsElected;
    }

    /// <summary>Makes a barrier object of 8 bytes, whose phases end when so many arrivals have come, and with them the bytes that were announced.</summary>
    internal void InitBarrier(PtxAddress barrier, int arrivals) => Emit("mbarrier.init.shared::cta.b64", barrier, arrivals);

    /// <summary>Makes new barrier objects known to other threads, after the next <see cref="Barrier"/>, and to copies.</summary>
    internal void FenceBarriers()
    {
        Emit("fence.mbarrier_init.release.cluster");
        Emit("fence.proxy.async.shared::cta");
    }

    /// <summary>Arrives at a barrier object.</summary>
    internal void Arrive(PtxAddress barrier) => Emit("mbarrier.arrive.shared::cta.b64", "_", barrier);

    /// <summary>Arrives at a barrier object and announces bytes that copies will bring.</summary>
    internal void ArriveExpecting(PtxAddress barrier, int byteLength) => Emit("mbarrier.arrive.expect_tx.shared::cta.b64", "_", barrier, byteLength);

    /// <summary>Waits until the phase of a parity has ended: of phases 0, 2, … for parity 0. Before the first phase, one of parity 1 counts as ended.</summary>
    internal void WaitFor(PtxAddress barrier, B32 parity)
    {
        PtxLabel again = Label("wait");
        Place(again);
        Pred hasEnded = Result<Pred>("mbarrier.try_wait.parity.shared::cta.b64", barrier, parity).As("has_ended");
        Branch(again, !hasEnded);
    }

    /// <summary>Starts copying a tile to shared memory; the barrier object counts its bytes.</summary>
    internal void CopyTile(PtxAddress shared, PtxTileAddress tile, PtxAddress barrier) =>
        Emit(
            string.Create(CultureInfo.InvariantCulture, $"cp.async.bulk.tensor.{tile.Start.Length}d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"),
            shared, tile, barrier);

    /// <summary>Changes how many registers each thread of the warpgroup has: upwards waits until others have given them back.</summary>
    internal void SetRegisters(bool up, int count) => Emit($"setmaxnreg.{(up ? "inc" : "dec")}.sync.aligned.u32", count);

    /// <summary>What the warpgroup did to the registers of the next products comes before them.</summary>
    internal void FenceProducts() => Emit("wgmma.fence.sync.aligned");

    /// <summary>
    /// d = a·b, or d + a·b, for a of 64 × 16 and b of 16 × n, which descriptors of matrices in shared memory name. With w the warp's number in its warpgroup, g =
    /// lane / 4 and t = lane mod 4, d has for each 8 columns at j: (16w+g, j+2t), (16w+g, j+2t+1), (16w+g+8, j+2t), (16w+g+8, j+2t+1). Until
    /// <see cref="WaitForProducts"/> nobody touches d.
    /// </summary>
    /// <param name="type">The type of a and b: bfloat16 or float16.</param>
    /// <param name="d">n / 2 sums.</param>
    /// <param name="a">The descriptor of a.</param>
    /// <param name="b">The descriptor of b.</param>
    /// <param name="adds">Whether d is added to.</param>
    /// <param name="leftByDepth">Whether numbers along the inner dimension are neighbors in a.</param>
    /// <param name="rightByDepth">Whether they are in b.</param>
    /// <remarks>PTX ISA, "wgmma.mma_async" and "Register Fragments and Shared Memory Matrix Layouts".</remarks>
    internal void WarpgroupMma(MmaType type, F32[] d, B64 a, B64 b, Pred adds, bool leftByDepth, bool rightByDepth)
    {
        string word = type == MmaType.BFloat16 ? "bf16" : "f16";
        Emit(
            string.Create(CultureInfo.InvariantCulture, $"wgmma.mma_async.sync.aligned.m64n{2 * d.Length}k16.f32.{word}.{word}"),
            PtxOperand.Vector(d), a, b, adds, 1, 1, leftByDepth ? 0 : 1, rightByDepth ? 0 : 1);
    }

    /// <summary>Makes the products since the last call a group that <see cref="WaitForProducts"/> counts.</summary>
    internal void CommitProducts() => Emit("wgmma.commit_group.sync.aligned");

    /// <summary>Waits until at most the last so many groups of the warp's products are under way.</summary>
    internal void WaitForProducts(int groupsUnderWay) => Emit("wgmma.wait_group.sync.aligned", groupsUnderWay);
}
