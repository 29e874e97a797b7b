namespace Delora.Tests.Ptx;

/// <summary>Memory that each lane has for itself: local arrays, and the parameters of functions.</summary>
internal sealed unsafe class PtxLocalMemory
{
    private readonly byte[] _bytes;
    private readonly byte* _start;
    private readonly bool[] _written;
    private readonly int _length;

    internal PtxLocalMemory(int length)
    {
        _length = length;
        _bytes = GC.AllocateUninitializedArray<byte>(Math.Max(1, length * 32), pinned: true);
        _start = (byte*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref _bytes[0]);
        _written = new bool[length * 32];
    }

    internal void Clear() => Array.Clear(_written);

    /// <summary>The bytes of an access, after its checks.</summary>
    internal byte* Access(PtxWarp warp, int lane, ulong address, int size, bool isWrite)
    {
        if (address % (uint)size != 0) throw warp.Fault<MisalignedFault>(lane, $"{size} bytes at the local address {address}");
        if (address > (ulong)_length || (ulong)_length - address < (uint)size)
            throw warp.Fault<OutOfBoundsFault>(lane, $"{size} bytes at the local address {address}, and there are {_length}");
        int at = lane * _length + (int)address;
        for (int i = at; i < at + size; i++)
            if (isWrite) _written[i] = true;
            else if (!_written[i]) throw warp.Fault<UnwrittenMemoryFault>(lane, $"the byte at the local address {address + (ulong)(i - at)} was never written");
        return _start + at;
    }

    /// <summary>Copies bytes of a lane, and whether they were written.</summary>
    internal void Copy(int lane, int from, int to, int length)
    {
        int start = lane * _length;
        _bytes.AsSpan(start + from, length).CopyTo(_bytes.AsSpan(start + to, length));
        _written.AsSpan(start + from, length).CopyTo(_written.AsSpan(start + to, length));
    }
}
