using System.Collections.Concurrent;
using Delora.Kernels;

namespace Delora.Tests.Cpu;

public class WorkerTeamTests
{
    private unsafe struct AddOne : IRangeBody
    {
        public int* Data;
        public long* Chunks;

        public readonly void Run(long start, long end, long chunk)
        {
            for (long i = start; i < end; i++)
                Data[i]++;
            Chunks[chunk] += end - start;
        }
    }

    private struct Recursive : IRangeBody
    {
        public WorkerTeam Team;
        public int Depth;
        public ConcurrentBag<int> Threads;

        public readonly void Run(long start, long end, long chunk)
        {
            int before = Environment.CurrentManagedThreadId;
            if (Depth > 0)
            {
                Recursive inner = new() { Team = Team, Depth = Depth - 1, Threads = Threads };
                Team.For(7, 1, ref inner);
            }
            else
            {
                Threads.Add(Environment.CurrentManagedThreadId);
            }
            Assert.Equal(before, Environment.CurrentManagedThreadId);
        }
    }

    private struct ThrowAt : IRangeBody
    {
        public long At;

        public readonly void Run(long start, long end, long chunk)
        {
            if (start <= At && At < end)
                throw new InvalidDataException($"index {At}");
        }
    }

    private struct Sleeper : IRangeBody
    {
        public ConcurrentQueue<long> Done;

        public readonly void Run(long start, long end, long chunk)
        {
            // The first chunk is held, as by a thread that lost its core: the rest must go on without it.
            ConcurrentQueue<long> done = Done;
            if (chunk == 0)
                SpinWait.SpinUntil(() => done.Count == 199, TimeSpan.FromSeconds(30));
            done.Enqueue(chunk);
        }
    }

    private unsafe struct WorkerScratch : IWorkerRangeBody
    {
        public int* Busy;
        public int Size;

        public readonly void Run(long start, long end, long chunk, int worker)
        {
            Assert.InRange(worker, 0, Size - 1);
            Assert.Equal(1, Interlocked.Increment(ref Busy[worker]));
            Thread.SpinWait(50);
            Interlocked.Decrement(ref Busy[worker]);
        }
    }

    [Theory]
    [InlineData(0, 8, 0)]
    [InlineData(1, 8, 1)]
    [InlineData(8, 8, 1)]
    [InlineData(9, 8, 2)]
    [InlineData(long.MaxValue, long.MaxValue, 1)]
    public void ChunkCountRoundsUp(long count, long grain, int expected) => Assert.Equal(expected, WorkerTeam.ChunkCount(count, grain));

    [Fact]
    public void ChunkCountRefusesNonsense()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => WorkerTeam.ChunkCount(-1, 8));
        Assert.Throws<ArgumentOutOfRangeException>(() => WorkerTeam.ChunkCount(8, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => WorkerTeam.ChunkCount(long.MaxValue, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new WorkerTeam(-1));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(7)]
    public unsafe void EveryIndexRunsOnceWhateverTheSizeOfTheTeam(int size)
    {
        using WorkerTeam team = new(size);
        Assert.Equal(size, team.Size);
        foreach (int count in new[] { 0, 1, 31, 32, 33, 127, 129, 1025 })
            foreach (int grain in new[] { 1, 8, 32, 5000 })
            {
                int[] data = new int[count + 1];
                long[] chunks = new long[WorkerTeam.ChunkCount(count, grain) + 1];
                fixed (int* p = data)
                fixed (long* c = chunks)
                {
                    AddOne body = new() { Data = p, Chunks = c };
                    team.For(count, grain, ref body);
                }
                Assert.All(data[..count], value => Assert.Equal(1, value));
                Assert.Equal(0, data[count]);
                for (int c = 0; c < chunks.Length - 1; c++)
                    Assert.Equal(Math.Min(grain, count - c * grain), chunks[c]);
            }
    }

    [Fact]
    public unsafe void ManyCallsWithAndWithoutPausesLoseNothing()
    {
        using WorkerTeam team = new(3);
        int[] data = new int[64];
        long[] chunks = new long[64];
        fixed (int* p = data)
        fixed (long* c = chunks)
        {
            AddOne body = new() { Data = p, Chunks = c };
            for (int call = 0; call < 20_000; call++)
            {
                team.For(64, 1, ref body);
                if (call % 4000 == 3999)
                    Thread.Sleep(2); // longer than the spin: the workers park
            }
        }
        Assert.All(data, value => Assert.Equal(20_000, value));
    }

    [Fact]
    public unsafe void CallsFromSeveralThreadsTakeTurns()
    {
        using WorkerTeam team = new(2);
        int[][] data = [new int[129], new int[129], new int[129]];
        Parallel.ForEach(data, own =>
        {
            long[] chunks = new long[129];
            fixed (int* p = own)
            fixed (long* c = chunks)
            {
                AddOne body = new() { Data = p, Chunks = c };
                for (int call = 0; call < 300; call++)
                    team.For(129, 4, ref body);
            }
        });
        Assert.All(data, own => Assert.All(own, value => Assert.Equal(300, value)));
    }

    [Fact]
    public void CallFromInsideABodyRunsInline()
    {
        using WorkerTeam team = new(3);
        Recursive body = new() { Team = team, Depth = 2, Threads = [] };
        team.For(5, 1, ref body);
        Assert.Equal(5 * 7 * 7, body.Threads.Count);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public unsafe void ExceptionReachesTheCallerAndTheTeamGoesOn(int size)
    {
        using WorkerTeam team = new(size);
        foreach (long at in new long[] { 0, 50, 99 })
        {
            ThrowAt body = new() { At = at };
            Assert.Equal($"index {at}", Assert.Throws<InvalidDataException>(() => team.For(100, 3, ref body)).Message);
        }
        int[] data = new int[100];
        long[] chunks = new long[100];
        fixed (int* p = data)
        fixed (long* c = chunks)
        {
            AddOne after = new() { Data = p, Chunks = c };
            team.For(100, 1, ref after);
        }
        Assert.All(data, value => Assert.Equal(1, value));
    }

    [Fact]
    public void SlowMemberHoldsUpOnlyItsOwnChunk()
    {
        using WorkerTeam team = new(2);
        Sleeper body = new() { Done = new() };
        team.For(200, 1, ref body);
        Assert.Equal(Enumerable.Range(0, 200).Select(c => (long)c), body.Done.Order());
        Assert.Equal(0, body.Done.Last());
    }

    [Fact]
    public unsafe void NoTwoBodiesShareAWorkerNumber()
    {
        using WorkerTeam team = new(4);
        int[] busy = new int[4];
        fixed (int* p = busy)
        {
            WorkerScratch body = new() { Busy = p, Size = 4 };
            for (int call = 0; call < 50; call++)
                team.ForWorkers(100, 1, ref body);
        }
    }

    [Fact]
    public unsafe void CallsAllocateNothing()
    {
        using WorkerTeam team = new(2);
        int[] data = new int[1000];
        long[] chunks = new long[1000];
        fixed (int* p = data)
        fixed (long* c = chunks)
        {
            AddOne body = new() { Data = p, Chunks = c };
            for (int call = 0; call < 10; call++)
                team.For(1000, 10, ref body);
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int call = 0; call < 100; call++)
                team.For(1000, 10, ref body);
            Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
        }
    }

    [Fact]
    public void DisposedTeamRefusesWork()
    {
        WorkerTeam team = new(2);
        team.Dispose();
        team.Dispose();
        ThrowAt body = new() { At = -1 };
        Assert.Throws<ObjectDisposedException>(() => team.For(100, 1, ref body));
    }
}
