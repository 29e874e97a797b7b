namespace Delora.Tests.Ptx;

/// <summary>A state space as loads and stores see it.</summary>
internal unsafe interface IPtxSpace
{
    /// <summary>The bytes of an access of a lane, after all checks.</summary>
    static abstract byte* Access(PtxWarp warp, int lane, ulong address, int size, PtxAccess access);
}

/// <summary>Where the windows of generic addresses lie: far above every address of the host.</summary>
internal static class PtxWindows
{
    internal const ulong Shared = 1UL << 60, Local = 2UL << 60, Parameter = 3UL << 60, Mask = 7UL << 60;
}

internal readonly unsafe struct GlobalSpace : IPtxSpace
{
    public static byte* Access(PtxWarp warp, int lane, ulong address, int size, PtxAccess access) => warp.Global(lane, address, size, access != PtxAccess.Read);
}

internal readonly unsafe struct SharedSpace : IPtxSpace
{
    public static byte* Access(PtxWarp warp, int lane, ulong address, int size, PtxAccess access) =>
        warp.Group.Shared.Access(warp, lane, address, size, access);
}

internal readonly unsafe struct LocalSpace : IPtxSpace
{
    public static byte* Access(PtxWarp warp, int lane, ulong address, int size, PtxAccess access) =>
        access == PtxAccess.Atomic ? throw warp.Fault<OutOfBoundsFault>(lane, "an atomic access to local memory")
            : warp.Local.Access(warp, lane, address, size, access == PtxAccess.Write);
}

internal readonly unsafe struct ParameterSpace : IPtxSpace
{
    public static byte* Access(PtxWarp warp, int lane, ulong address, int size, PtxAccess access)
    {
        byte[] all = warp.Group.Parameters;
        if (access != PtxAccess.Read) throw warp.Fault<OutOfBoundsFault>(lane, "a kernel's parameters are written");
        if (address % (uint)size != 0) throw warp.Fault<MisalignedFault>(lane, $"{size} bytes at {address} of the parameters");
        if (address > (ulong)all.Length || (ulong)all.Length - address < (uint)size)
            throw warp.Fault<OutOfBoundsFault>(lane, $"{size} bytes at {address} of {all.Length} bytes of parameters");
        return (byte*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref all[(int)address]);
    }
}

internal readonly unsafe struct GenericSpace : IPtxSpace
{
    public static byte* Access(PtxWarp warp, int lane, ulong address, int size, PtxAccess access) => (address & PtxWindows.Mask) switch
    {
        0 => GlobalSpace.Access(warp, lane, address, size, access),
        PtxWindows.Shared => SharedSpace.Access(warp, lane, address & ~PtxWindows.Mask, size, access),
        PtxWindows.Local => LocalSpace.Access(warp, lane, address & ~PtxWindows.Mask, size, access),
        PtxWindows.Parameter => ParameterSpace.Access(warp, lane, address & ~PtxWindows.Mask, size, access),
        _ => throw warp.Fault<OutOfBoundsFault>(lane, $"{size} bytes at the address 0x{address:x}, which is in no space"),
    };
}

// The lanes' way to global memory.
internal sealed unsafe partial class PtxWarp
{
    private PtxRange _range;

    /// <summary>The bytes at a global address, after its checks. The range that was found last is tried first.</summary>
    internal byte* Global(int lane, ulong address, int size, bool isWrite)
    {
        if (address % (uint)size != 0) throw Fault<MisalignedFault>(lane, $"{size} bytes at the address 0x{address:x}");
        if (address < _range.Start || address >= _range.End || _range.End - address < (uint)size)
        {
            if (!Group.Memory.TryFind(address, (uint)size, out PtxRange range))
                throw Fault<OutOfBoundsFault>(lane, range.End == 0
                    ? $"{size} bytes at the address 0x{address:x}, where nothing is allocated"
                    : $"{size} bytes at the address 0x{address:x}; its allocation of {range.End - range.Start} bytes ends in {range.End - address}");
            _range = range;
        }
        if (isWrite && !_range.IsWritable) throw Fault<OutOfBoundsFault>(lane, "constant memory is written");
        return (byte*)address;
    }
}
