using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Delora.Kernels;

/// <summary>The body of a parallel loop over a range: a struct that holds raw pointers and sizes.</summary>
public interface IRangeBody
{
    /// <summary>Works on <c>[start, end)</c>, the chunk number <paramref name="chunk"/> of the range.</summary>
    /// <param name="start">First index.</param>
    /// <param name="end">One past the last index.</param>
    /// <param name="chunk">Number of the chunk, from 0; fixes where a partial result of a reduction belongs.</param>
    void Run(long start, long end, long chunk);
}

/// <summary>The body of a parallel loop that needs scratch memory of its own in each member of the team.</summary>
public interface IWorkerRangeBody
{
    /// <summary>Works on <c>[start, end)</c> with the scratch memory number <paramref name="worker"/>.</summary>
    /// <param name="start">First index.</param>
    /// <param name="end">One past the last index.</param>
    /// <param name="chunk">Number of the chunk, from 0.</param>
    /// <param name="worker">0 ≤ worker &lt; <see cref="WorkerTeam.Size"/>; no two bodies of a loop have the same at a time.</param>
    void Run(long start, long end, long chunk, int worker);
}

/// <summary>
/// A dedicated team of threads for data-parallel loops; the caller is a member. Chunks are taken one by one from a shared counter, so
/// a member that lost its core to another process holds up nobody: the others, and in the end the caller alone, take the rest. Workers wait
/// spinning for some microseconds, then park. Chunk borders depend on <c>count</c> and <c>grain</c> alone, never on the number of threads,
/// so a body that writes only what belongs to its chunk gives the same bits with any team. A call allocates nothing.
/// </summary>
/// <remarks>
/// Safe for calls from several threads: they take turns. A call from inside a body runs inline, in order. An exception from a body
/// stops the handing out of further chunks and reaches the caller once all members have left the loop.
/// </remarks>
public sealed unsafe class WorkerTeam : IDisposable
{
    private const long Open = 1L << 31;
    private const long ActiveMask = Open - 1;
    private const long EpochStep = 1L << 32;
    private static readonly long SpinTicks = Math.Max(1, Stopwatch.Frequency / 20_000); // 50 µs

    [ThreadStatic]
    private static bool t_inside;

    private readonly Lock _gate = new();
    private readonly Worker[] _workers;
    private readonly SemaphoreSlim _allLeft = new(0);
    private Shared _shared;
    private delegate*<WorkerTeam, void*, int, void> _drain;
    private void* _body;
    private long _count;
    private long _grain;
    private Exception? _error;
    private readonly bool _idle;
    private volatile bool _stopping;

    /// <summary>Starts the team's threads, one less than its size.</summary>
    /// <param name="size">Members including the caller; 0 for the number of processors that the process may use.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="size"/> is negative or above 1024.</exception>
    public WorkerTeam(int size = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(size);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(size, 1024);
        Size = size == 0 ? Environment.ProcessorCount : size;
        _workers = new Worker[Size - 1];
        for (int i = 0; i < _workers.Length; i++)
        {
            int member = i + 1;
            Thread thread = new(() => WorkerLoop(member)) { IsBackground = true, Name = $"delora-worker-{member}" };
            _workers[i] = new Worker(thread);
        }
        foreach (Worker worker in _workers)
            worker.Thread.Start();
    }

    private WorkerTeam(int size, bool idle) => (Size, _idle, _workers) = (size, idle, []);

    /// <summary>Number of members, the caller included.</summary>
    public int Size { get; }

    /// <summary>A team of that size without threads, whose loops do nothing: working memory is counted by its size.</summary>
    internal static WorkerTeam Idle(int size) => new(size, idle: true);

    /// <summary>Number of chunks of <paramref name="grain"/> indices in <paramref name="count"/>; the last one may be shorter.</summary>
    /// <param name="count">Number of indices, ≥ 0.</param>
    /// <param name="grain">Indices per chunk, ≥ 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">A negative count, a grain below 1, or more than 2³¹ − 1 chunks.</exception>
    public static int ChunkCount(long count, long grain)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfLessThan(grain, 1);
        long chunks = count / grain + (count % grain != 0 ? 1 : 0);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(chunks, int.MaxValue, nameof(count));
        return (int)chunks;
    }

    /// <summary>
    /// Runs the body on chunks <c>[c·grain, min(count, (c+1)·grain))</c>, in any order, on any member; returns when all are done.
    /// </summary>
    /// <typeparam name="TBody">The body's struct.</typeparam>
    /// <param name="count">Number of indices; with 0 nothing runs.</param>
    /// <param name="grain">Indices per chunk. A range of a single chunk runs inline.</param>
    /// <param name="body">The body. All members share one copy of it.</param>
    /// <exception cref="ArgumentOutOfRangeException">See <see cref="ChunkCount"/>.</exception>
    /// <exception cref="ObjectDisposedException">The team was disposed.</exception>
    public void For<TBody>(long count, long grain, ref TBody body)
        where TBody : struct, IRangeBody
    {
        WithoutWorker<TBody> adapted = new() { Body = body };
        ForWorkers(count, grain, ref adapted);
        body = adapted.Body;
    }

    /// <summary>Like <see cref="For{TBody}"/> for a body that wants to know which member runs it, to use its scratch memory.</summary>
    /// <typeparam name="TBody">The body's struct.</typeparam>
    /// <param name="count">Number of indices; with 0 nothing runs.</param>
    /// <param name="grain">Indices per chunk.</param>
    /// <param name="body">The body. All members share one copy of it.</param>
    /// <exception cref="ArgumentOutOfRangeException">See <see cref="ChunkCount"/>.</exception>
    /// <exception cref="ObjectDisposedException">The team was disposed.</exception>
    // At once as it stays: on one thread the body is inlined here, and the version that counts for the compiler ran it up to thirty times slower.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void ForWorkers<TBody>(long count, long grain, ref TBody body)
        where TBody : struct, IWorkerRangeBody
    {
        int chunks = ChunkCount(count, grain);
        if (chunks == 0)
            return;
        ObjectDisposedException.ThrowIf(_stopping, this);
        if (_idle)
            return;
        if (chunks == 1 || _workers.Length == 0 || t_inside)
        {
            for (long c = 0, start = 0; c < chunks; c++, start += grain)
                body.Run(start, Math.Min(count, start + grain), c, 0);
            return;
        }
        TBody local = body; // on this thread's stack, where its address stays
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_stopping, this);
            _drain = &Drain<TBody>;
            _body = Unsafe.AsPointer(ref local);
            _count = count;
            _grain = grain;
            _error = null;
            _shared.Next = 0;
            t_inside = true;
            Publish(Math.Min(_workers.Length, chunks - 1));
            Drain<TBody>(this, _body, 0);
            CloseAndWait();
            t_inside = false;
            _body = null;
            if (_error is { } error)
            {
                _error = null;
                ExceptionDispatchInfo.Throw(error);
            }
        }
        body = local;
    }

    /// <summary>Stops the threads and waits for them. Must not be called from inside a body.</summary>
    public void Dispose()
    {
        if (t_inside)
            throw new InvalidOperationException("A WorkerTeam cannot be disposed from inside one of its loops.");
        lock (_gate)
        {
            if (_stopping)
                return;
            _stopping = true;
            Interlocked.Add(ref _shared.State, EpochStep);
            foreach (Worker worker in _workers)
                worker.Unpark();
        }
        foreach (Worker worker in _workers)
        {
            worker.Thread.Join();
            worker.Dispose();
        }
        _allLeft.Dispose();
    }

    /// <summary>Opens the loop to the workers and wakes as many parked ones as it can use.</summary>
    private void Publish(int wanted)
    {
        // State: [epoch | open bit | number of active workers]. A worker enters by a compare-and-swap that increments the last part, and
        // only while the open bit is set: a late worker can never see a loop whose caller has gone.
        Interlocked.Add(ref _shared.State, EpochStep + Open);
        for (int i = 0; i < wanted; i++)
            _workers[i].Unpark();
    }

    private void CloseAndWait()
    {
        long state = Interlocked.Add(ref _shared.State, -Open);
        if ((state & ActiveMask) == 0)
            return;
        long limit = Stopwatch.GetTimestamp() + SpinTicks;
        do
        {
            for (int i = 0; i < 16; i++)
            {
                if ((Volatile.Read(ref _shared.State) & ActiveMask) == 0)
                    return;
                Thread.SpinWait(1);
            }
        }
        while (Stopwatch.GetTimestamp() < limit);
        // A worker sits in a long chunk or lost its core: leave it ours. The wake-up may come from a worker that left an earlier loop and
        // was slow to say so, hence the loop.
        while ((Volatile.Read(ref _shared.State) & ActiveMask) != 0)
        {
            Interlocked.Exchange(ref _shared.CallerWaits, 1);
            if ((Volatile.Read(ref _shared.State) & ActiveMask) == 0 && Interlocked.Exchange(ref _shared.CallerWaits, 0) == 1)
                return;
            _allLeft.Wait();
        }
    }

    private void WorkerLoop(int member)
    {
        t_inside = true;
        Worker self = _workers[member - 1];
        long seen = 0;
        while (true)
        {
            long state = WaitForEpoch(self, seen);
            if (_stopping)
                return;
            seen = state & ~(Open | ActiveMask);
            if ((state & Open) == 0)
                continue;
            // Other workers entering or leaving change the word too; give up only when the loop closed or another one began.
            while ((state & Open) != 0 && (state & ~(Open | ActiveMask)) == seen)
            {
                long old = Interlocked.CompareExchange(ref _shared.State, state + 1, state);
                if (old == state)
                {
                    _drain(this, _body, member);
                    Leave();
                    break;
                }
                state = old;
            }
        }
    }

    private void Leave()
    {
        long state = Interlocked.Decrement(ref _shared.State);
        if ((state & (ActiveMask | Open)) == 0 && Interlocked.Exchange(ref _shared.CallerWaits, 0) == 1)
            _allLeft.Release();
    }

    private long WaitForEpoch(Worker self, long seen)
    {
        long limit = Stopwatch.GetTimestamp() + SpinTicks;
        while (true)
        {
            do
            {
                for (int i = 0; i < 16; i++)
                {
                    long state = Volatile.Read(ref _shared.State);
                    if ((state & ~(Open | ActiveMask)) != seen)
                        return state;
                    Thread.SpinWait(1);
                }
            }
            while (Stopwatch.GetTimestamp() < limit);
            self.Park(ref _shared.State, seen, ~(Open | ActiveMask));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Drain<TBody>(WorkerTeam team, void* body, int worker)
        where TBody : struct, IWorkerRangeBody
    {
        long count = team._count, grain = team._grain;
        int chunks = ChunkCount(count, grain);
        ref TBody shared = ref Unsafe.AsRef<TBody>(body);
        try
        {
            long chunk;
            while ((chunk = Interlocked.Increment(ref team._shared.Next) - 1) < chunks)
            {
                long start = chunk * grain;
                shared.Run(start, Math.Min(count - start, grain) + start, chunk, worker);
            }
        }
        catch (Exception error)
        {
            Interlocked.CompareExchange(ref team._error, error, null);
            Interlocked.Exchange(ref team._shared.Next, chunks); // nobody starts another chunk
        }
    }

    private struct WithoutWorker<TBody> : IWorkerRangeBody
        where TBody : struct, IRangeBody
    {
        public TBody Body;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Run(long start, long end, long chunk, int worker) => Body.Run(start, end, chunk);
    }

    /// <summary>The words that members fight over, each on cache lines of its own.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 512)]
    private struct Shared
    {
        [FieldOffset(128)]
        public long State;

        [FieldOffset(256)]
        public long Next;

        [FieldOffset(384)]
        public int CallerWaits;
    }

    private sealed class Worker(Thread thread) : IDisposable
    {
        private readonly SemaphoreSlim _wake = new(0);
        private int _parked;

        public Thread Thread { get; } = thread;

        public void Park(ref long state, long seen, long mask)
        {
            Interlocked.Exchange(ref _parked, 1);
            // Work may have come between the last look and the flag; whoever resets the flag decides whether a wake-up is under way.
            if ((Volatile.Read(ref state) & mask) != seen && Interlocked.CompareExchange(ref _parked, 0, 1) == 1)
                return;
            _wake.Wait();
        }

        public void Unpark()
        {
            if (Volatile.Read(ref _parked) == 1 && Interlocked.CompareExchange(ref _parked, 0, 1) == 1)
                _wake.Release();
        }

        public void Dispose() => _wake.Dispose();
    }
}
