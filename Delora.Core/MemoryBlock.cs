using System.Runtime.InteropServices;

namespace Delora.Core;

/// <summary>One contiguous piece of device memory as the device gave it. Only the <see cref="DeviceAllocator"/> hands it on.</summary>
public abstract class MemoryBlock(long byteLength)
{
    /// <summary>Usable bytes.</summary>
    public long ByteLength { get; } = byteLength;

    /// <summary>The pool that it returns to; null for the allocator's own cache.</summary>
    internal BlockPool? Pool { get; set; }

    /// <summary>Recordings that read or write it.</summary>
    internal int Pins { get; set; }

    /// <summary>Whether its tensor is gone while a recording still knows it.</summary>
    internal bool IsAbandoned { get; set; }
}

/// <summary>A block of the process's own native memory, aligned to 64 bytes (2 MiB from that size on).</summary>
public sealed unsafe partial class HostMemoryBlock : MemoryBlock
{
    private const int SmallAlignment = 64;
    private const int HugePage = 2 << 20;
    private const int AdviseHugePage = 14; // MADV_HUGEPAGE

    private HostMemoryBlock(byte* pointer, long byteLength) : base(byteLength) => Pointer = pointer;

    /// <summary>The first byte.</summary>
    public byte* Pointer { get; private set; }

    /// <summary>Asks the system for memory; large blocks get huge-page advice on Linux.</summary>
    /// <exception cref="OutOfMemoryException">The system has none.</exception>
    public static HostMemoryBlock Allocate(long byteLength)
    {
        bool huge = byteLength >= HugePage;
        var pointer = (byte*)NativeMemory.AlignedAlloc(checked((nuint)Math.Max(byteLength, 1)), huge ? HugePage : (nuint)SmallAlignment);
        // Advice only: without it a fresh 100 MB buffer costs ten times the pass over it in page faults. A refusal changes nothing.
        if (huge && OperatingSystem.IsLinux()) _ = MAdvise(pointer, (nuint)byteLength, AdviseHugePage);
        return new HostMemoryBlock(pointer, byteLength);
    }

    /// <summary>Gives the memory back to the system.</summary>
    public void Free()
    {
        NativeMemory.AlignedFree(Pointer);
        Pointer = null;
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int MAdvise(void* address, nuint length, int advice);
}
