namespace Delora.Tests.Ptx;

/// <summary>The registers that a thread finds filled (PTX ISA, chapter "Special Registers"). Clocks are read by <see cref="MoveInstructions"/>.</summary>
internal static class SpecialRegisters
{
    private delegate ulong Reader(PtxWarp warp, int lane);

    private static readonly Dictionary<string, (PtxType Type, Reader Read)> s_all = All();

    /// <summary>Its type, or null if there is none of that name.</summary>
    internal static PtxType? Type(string name) => s_all.TryGetValue(name, out (PtxType Type, Reader) found) ? found.Type : null;

    internal static ulong Value(string name, PtxWarp warp, int lane) => s_all[name].Read(warp, lane);

    /// <summary>Whether it is another one in each group, the same for all threads of it.</summary>
    internal static bool IsOfGroup(string name) => name.StartsWith("%ctaid", StringComparison.Ordinal) || name.StartsWith("%clusterid", StringComparison.Ordinal);

    private static Dictionary<string, (PtxType, Reader)> All()
    {
        var all = new Dictionary<string, (PtxType, Reader)>();
        void Add(string name, Reader read, PtxType type = PtxType.U32) => all.Add(name, (type, read));
        void Vector(string name, Func<PtxWarp, int, (int X, int Y, int Z)> read)
        {
            Add(name + ".x", (warp, lane) => (ulong)read(warp, lane).X);
            Add(name + ".y", (warp, lane) => (ulong)read(warp, lane).Y);
            Add(name + ".z", (warp, lane) => (ulong)read(warp, lane).Z);
        }
        Vector("%tid", (warp, lane) =>
        {
            (int thread, PtxLaunchShape shape) = (warp.Thread(lane), warp.Group.Shape);
            return (thread % shape.X, thread / shape.X % shape.Y, thread / shape.X / shape.Y);
        });
        Vector("%ntid", (warp, _) => (warp.Group.Shape.X, warp.Group.Shape.Y, warp.Group.Shape.Z));
        Vector("%ctaid", (warp, _) => (warp.Group.X, warp.Group.Y, warp.Group.Z));
        Vector("%nctaid", (warp, _) => (warp.Group.Shape.GridX, warp.Group.Shape.GridY, warp.Group.Shape.GridZ));
        // Clusters of one group.
        Vector("%clusterid", (warp, _) => (warp.Group.X, warp.Group.Y, warp.Group.Z));
        Vector("%nclusterid", (warp, _) => (warp.Group.Shape.GridX, warp.Group.Shape.GridY, warp.Group.Shape.GridZ));
        Vector("%cluster_ctaid", (_, _) => (0, 0, 0));
        Vector("%cluster_nctaid", (_, _) => (1, 1, 1));
        Add("%cluster_ctarank", (_, _) => 0);
        Add("%cluster_nctarank", (_, _) => 1);
        Add("%laneid", (_, lane) => (ulong)lane);
        Add("%warpid", (warp, _) => (ulong)warp.Index);
        Add("%nwarpid", (warp, _) => (ulong)warp.Group.WarpCount);
        Add("%lanemask_eq", (_, lane) => 1u << lane);
        Add("%lanemask_lt", (_, lane) => (1u << lane) - 1);
        Add("%lanemask_le", (_, lane) => uint.MaxValue >> (31 - lane));
        Add("%lanemask_ge", (_, lane) => uint.MaxValue << lane);
        Add("%lanemask_gt", (_, lane) => uint.MaxValue << lane << 1);
        Add("%smid", (_, _) => 0);
        Add("%nsmid", (_, _) => 1);
        Add("%gridid", (_, _) => 1, PtxType.U64);
        Add("%dynamic_smem_size", (warp, _) => (ulong)warp.Group.DynamicSharedBytes);
        Add("%total_smem_size", (warp, _) => (ulong)(warp.Group.Program.SharedBytes + warp.Group.DynamicSharedBytes));
        return all;
    }
}
