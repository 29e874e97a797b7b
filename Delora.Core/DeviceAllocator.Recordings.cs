namespace Delora.Core;

/// <summary>The memory of recorded work, which runs again later and then needs its blocks as they were.</summary>
public sealed partial class DeviceAllocator
{
    /// <summary>Keeps a block from others as long as a recording knows it, also where its tensor goes meanwhile.</summary>
    internal void Pin(MemoryBlock block)
    {
        lock (_lock) block.Pins++;
    }

    /// <summary>Takes back one <see cref="Pin"/>.</summary>
    internal void Unpin(MemoryBlock block)
    {
        lock (_lock)
        {
            if (--block.Pins > 0 || !block.IsAbandoned) return;
            block.IsAbandoned = false;
            if (!_device.IsDisposed)
            {
                Cache(block);
                return;
            }
            _cached -= block.ByteLength;
        }
        _device.FreeBlock(block);
    }

    /// <summary>Whether a pinned block has no tensor any more: a recording that knows it computes from what is no longer meant.</summary>
    internal bool IsAbandoned(MemoryBlock block)
    {
        lock (_lock) return block.IsAbandoned;
    }

    /// <summary>Makes ordinary blocks of those that are rented from a pool.</summary>
    /// <returns>How many there were.</returns>
    internal int LetGo(BlockPool pool)
    {
        lock (_lock)
        {
            pool.Release(free: false, out int rented);
            return rented;
        }
    }

    /// <summary>Takes over the free blocks of a pool that no recording knows.</summary>
    internal void Trim(BlockPool pool)
    {
        lock (_lock)
            foreach (MemoryBlock block in pool.Unknown()) Cache(block);
    }

    /// <summary>Takes over all blocks of a pool.</summary>
    internal void Dissolve(BlockPool pool)
    {
        List<MemoryBlock> blocks;
        lock (_lock)
        {
            blocks = pool.Release(free: true, out _);
            if (!_device.IsDisposed)
            {
                foreach (MemoryBlock block in blocks) Cache(block);
                return;
            }
            foreach (MemoryBlock block in blocks) _cached -= block.ByteLength;
        }
        foreach (MemoryBlock block in blocks) _device.FreeBlock(block);
    }

    /// <summary>A free block of the thread's pool, else of the cache.</summary>
    private MemoryBlock? TryRent(long size)
    {
        lock (_lock)
        {
            BlockPool? pool = BlockPool.Current(this);
            MemoryBlock? block = pool?.TryRent(size);
            if (block is null && _free.TryGetValue(size, out Stack<MemoryBlock>? stack) && stack.TryPop(out block)) pool?.Adopt(block);
            if (block is not null) _cached -= size;
            return block;
        }
    }

    private void Cache(MemoryBlock block)
    {
        if (!_free.TryGetValue(block.ByteLength, out Stack<MemoryBlock>? stack)) _free.Add(block.ByteLength, stack = new Stack<MemoryBlock>());
        stack.Push(block);
    }
}
