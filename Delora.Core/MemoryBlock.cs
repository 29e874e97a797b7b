using System.Runtime.InteropServices;

namespace Delora.Core;

/// <summary>One contiguous piece of device memory as the device gave it. Only the <see cref="DeviceAllocator"/> hands it on.</summary>
public abstract class MemoryBlock(long byteLength)
{
    /// <summary>Usable bytes.</summary>
    public long ByteLength { get; } = byteLength;
}

/// <summary>A block of the process's own native memory, aligned to 64 bytes (2 MiB from that size on).</summary>
public sealed unsafe partial class HostMemoryBlock : MemoryBlock
{
    private const int SmallAlignment = 64;
    private const int HugePage = 2 << 20;
    private const int AdviseHugePage = 14; // MADV_HUGEPAGE
    private const int LeastMapped = 64 << 10;
    private const int ReadWrite = 1 | 2; // PROT_READ | PROT_WRITE
    private const int PrivateWithoutReserve = 0x02 | 0x20 | 0x4000; // MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE

    private readonly bool _reserved;

    private HostMemoryBlock(byte* pointer, long byteLength, bool reserved = false) : base(byteLength)
    {
        Pointer = pointer;
        _reserved = reserved;
    }

    /// <summary>The first byte.</summary>
    public byte* Pointer { get; private set; }

    private bool IsMapped => _reserved && OperatingSystem.IsLinux() && ByteLength >= LeastMapped;

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
        if (!_reserved) NativeMemory.AlignedFree(Pointer);
        else if (IsMapped) _ = MUnmap(Pointer, (nuint)ByteLength);
        else NativeMemory.Free(Pointer);
        Pointer = null;
    }

    /// <summary>
    /// Addresses that read as zeros and get memory, page by page, where they are written. On Linux they count against no limit; elsewhere the system
    /// may refuse more than it could ever give.
    /// </summary>
    /// <exception cref="OutOfMemoryException">The system refused.</exception>
    internal static HostMemoryBlock Reserve(long byteLength)
    {
        var block = new HostMemoryBlock(null, byteLength, reserved: true);
        block.Reserve();
        return block;
    }

    /// <summary>Forgets what was written to a reserved block, and gives the memory behind it back.</summary>
    internal void Renew()
    {
        Free();
        Reserve();
    }

    internal void Write(long byteOffset, ReadOnlySpan<byte> source) => source.CopyTo(new Span<byte>(Pointer + byteOffset, source.Length));

    internal void Read(long byteOffset, Span<byte> destination) =>
        new ReadOnlySpan<byte>(Pointer + byteOffset, destination.Length).CopyTo(destination);

    internal void CopyTo(long byteOffset, HostMemoryBlock destination, long destinationOffset, long byteLength) =>
        Buffer.MemoryCopy(Pointer + byteOffset, destination.Pointer + destinationOffset, byteLength, byteLength);

    internal void Fill(long byteOffset, long byteLength, byte value) =>
        NativeMemory.Fill(Pointer + byteOffset, checked((nuint)byteLength), value);

    private void Reserve()
    {
        if (!IsMapped)
        {
            Pointer = (byte*)NativeMemory.AllocZeroed(checked((nuint)Math.Max(ByteLength, 1)));
            return;
        }
        void* pointer = MMap(null, (nuint)ByteLength, ReadWrite, PrivateWithoutReserve, -1, 0);
        if (pointer == (void*)-1) throw new OutOfMemoryException($"The system has no address space of {ByteLength} bytes.");
        Pointer = (byte*)pointer;
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int MAdvise(void* address, nuint length, int advice);

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial void* MMap(void* address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int MUnmap(void* address, nuint length);
}
