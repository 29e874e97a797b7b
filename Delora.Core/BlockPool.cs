namespace Delora.Core;

/// <summary>
/// Blocks that belong to recorded work. What a thread rents between <see cref="Enter"/> and the end of its session comes from here and returns to here, so
/// that nobody else writes into memory that a recording will write again. All recordings of a pool run one after the other: what one leaves, the next may
/// overwrite.
/// </summary>
internal sealed class BlockPool(DeviceAllocator allocator) : IDisposable
{
    [ThreadStatic]
    private static BlockPool? t_current;

    // Guarded by the allocator's lock, as is everything here.
    private readonly Dictionary<long, Stack<MemoryBlock>> _free = [];
    private readonly HashSet<MemoryBlock> _rented = [];

    /// <summary>The pool that this thread rents from; null where it is none of this allocator's.</summary>
    internal static BlockPool? Current(DeviceAllocator allocator) => t_current is { } pool && pool.Allocator == allocator ? pool : null;

    internal DeviceAllocator Allocator => allocator;

    /// <summary>Called where the device has no more memory for what is rented here: lets go of recordings.</summary>
    internal Action? Shortage { get; init; }

    /// <summary>Sends what this thread rents here until the session is disposed.</summary>
    internal Session Enter()
    {
        var session = new Session(this, t_current);
        t_current = this;
        return session;
    }

    /// <summary>Rents from the allocator itself until the pause is disposed.</summary>
    internal static IDisposable Pause()
    {
        var pause = new Paused(t_current);
        t_current = null;
        return pause;
    }

    /// <summary>Gives the free blocks to the allocator that no recording knows any more.</summary>
    internal void Trim() => allocator.Trim(this);

    /// <summary>Gives all blocks to the allocator, when nothing recorded will run again. The pool, empty now, can be used again.</summary>
    public void Dispose() => allocator.Dissolve(this);

    internal MemoryBlock? TryRent(long size)
    {
        if (!_free.TryGetValue(size, out Stack<MemoryBlock>? stack) || !stack.TryPop(out MemoryBlock? block)) return null;
        _rented.Add(block);
        return block;
    }

    internal void Adopt(MemoryBlock block)
    {
        block.Pool = this;
        _rented.Add(block);
    }

    internal void Return(MemoryBlock block)
    {
        _rented.Remove(block);
        if (!_free.TryGetValue(block.ByteLength, out Stack<MemoryBlock>? stack)) _free.Add(block.ByteLength, stack = new Stack<MemoryBlock>());
        stack.Push(block);
    }

    /// <summary>Lets go of what is still rented, and of what is free too where that is asked for, which it returns.</summary>
    internal List<MemoryBlock> Release(bool free, out int rented)
    {
        rented = _rented.Count;
        foreach (MemoryBlock block in _rented) block.Pool = null;
        _rented.Clear();
        if (!free) return [];
        List<MemoryBlock> blocks = [.. _free.Values.SelectMany(stack => stack)];
        foreach (MemoryBlock block in blocks) block.Pool = null;
        _free.Clear();
        return blocks;
    }

    /// <summary>Takes out the free blocks that no recording knows.</summary>
    internal List<MemoryBlock> Unknown()
    {
        List<MemoryBlock> unknown = [];
        foreach ((long size, Stack<MemoryBlock> stack) in _free.ToArray())
        {
            unknown.AddRange(stack.Where(block => block.Pins == 0));
            _free[size] = new Stack<MemoryBlock>(stack.Where(block => block.Pins > 0));
        }
        foreach (MemoryBlock block in unknown) block.Pool = null;
        return unknown;
    }

    private sealed class Paused(BlockPool? before) : IDisposable
    {
        public void Dispose() => t_current = before;
    }

    /// <summary>The time in which a thread rents from a pool.</summary>
    internal sealed class Session(BlockPool pool, BlockPool? before) : IDisposable
    {
        /// <summary>Ends it.</summary>
        /// <returns>
        /// How many blocks are kept beyond it. They are the pool's no more; recordings that were made before may write into them and must not run again.
        /// </returns>
        internal int End()
        {
            if (t_current != pool) return 0;
            t_current = before;
            return pool.Allocator.LetGo(pool);
        }

        public void Dispose() => End();
    }
}
