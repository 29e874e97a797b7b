using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using Delora.Tests.Core;
using Delora.Tests.DeviceTests;

namespace Delora.Tests.Nn;

/// <summary>Which recordings are kept, and whose memory is theirs.</summary>
public sealed class StepRecorderTests
{
    [Fact]
    public void TheRecordingsUsedLastAreKept()
    {
        using GpuDevice gpu = GpuDevice.Interpreting(new FakePtxDriver(), "fake");
        using Tensor y = Tensor.Zeros([1], DType.Int32, gpu);
        using var recorder = new StepRecorder(gpu, null);
        int[] lengths = [.. Enumerable.Range(1, StepRecorder.MostRecorded + 3)];
        for (int round = 0; round < 2; round++)
            foreach (int length in lengths) Run(length);
        Assert.Equal((StepRecorder.MostRecorded, lengths.Length), (recorder.Recorded, recorder.Replayed));
        // The longest ago are gone: they begin anew, the others are replayed.
        Run(lengths[^1]);
        Assert.Equal(lengths.Length + 1, recorder.Replayed);
        Run(1);
        Assert.Equal(lengths.Length + 1, recorder.Replayed);
        Run(1);
        Assert.Equal((StepRecorder.MostRecorded, lengths.Length + 2), (recorder.Recorded, recorder.Replayed));
        long inputs = gpu.Memory.LiveAllocations().Count(record => record.Name == "inputs of a recording");
        Assert.Equal(StepRecorder.MostRecorded, inputs);
        recorder.Forget();
        Assert.DoesNotContain(gpu.Memory.LiveAllocations(), record => record.Name == "inputs of a recording");

        void Run(int length) => recorder.Run([new("ids", [.. Enumerable.Range(length, length)], [length])], inputs =>
        {
            using Tensor last = inputs[0].View([1], length - 1);
            y.CopyFrom(last);
        });
    }

    [Fact]
    public void NumbersOfAnotherTypeAreAnotherPass()
    {
        using GpuDevice gpu = GpuDevice.Interpreting(new FakePtxDriver(), "fake");
        using var recorder = new StepRecorder(gpu, null);
        var seen = new List<DType>();
        for (int i = 0; i < 3; i++)
            foreach (BatchInput labels in (BatchInput[])[new("labels", [1, 2], [2]), new("labels", [1f, 2f], [2])])
                recorder.Run([labels], inputs => seen.Add(inputs[0].DType));
        // Each is rehearsed and recorded; only replays ask for nothing.
        Assert.Equal([DType.Int32, DType.Float32, DType.Int32, DType.Float32], seen);
        Assert.Equal((2, 4), (recorder.Recorded, recorder.Replayed));
    }

    /// <summary>A tensor that a recording knew is gone, again and again: that is no refusal.</summary>
    [Fact]
    public void ARecordingThatGoesStaleIsMadeAnewAsOftenAsThatIsSo()
    {
        using GpuDevice gpu = GpuDevice.Interpreting(new FakePtxDriver(), "fake");
        using var pool = new BlockPool(gpu.Memory);
        using var work = new RecordedWork(new GpuGraph(gpu, pool, null));
        for (int i = 0; i < 6; i++)
        {
            using Tensor y = Tensor.Zeros([1], DType.Float32, gpu);
            if (i == 0) Assert.False(Run());
            Assert.True(Run(), work.Obstacle);
            Assert.Null(work.Final);

            bool Run() => work.Run(y.FillZero, renting =>
            {
                using (pool.Enter()) renting();
            });
        }
    }

    /// <summary>Recordings wait for the device before they give way; the pass that needs their memory does not, and is recorded after it.</summary>
    [Fact]
    public void APassThatRecordingsGiveWayToIsRecordedAsWell()
    {
        using GpuDevice gpu = GpuDevice.Interpreting(new FakePtxDriver(), "fake");
        using Tensor y = Tensor.Zeros([1], DType.Float32, gpu);
        using var recorder = new StepRecorder(gpu, null);
        for (int i = 0; i < 2; i++) recorder.Step("first", y.FillZero);
        Assert.Equal(1, recorder.Recorded);
        bool isHungry = true;
        for (int i = 0; i < 2; i++)
        {
            recorder.Step("second", () =>
            {
                // More than any address reaches.
                if (isHungry) Assert.Throws<DeviceMemoryException>(() => Tensor.Empty([1 << 30, 1 << 20], DType.Float32, gpu));
                isHungry = false;
                y.FillZero();
            });
            Assert.True(recorder.Recorded == i, string.Join("; ", recorder.Obstacles));
        }
        Assert.Empty(recorder.Obstacles);
    }

    [Fact]
    public void AGateWithoutMemoryLeavesNothingBehind()
    {
        using var device = new LimitedDevice(limit: 256);
        Assert.Throws<DeviceMemoryException>(() => new FiniteGate(device));
        Assert.Equal(0, device.Memory.Statistics.LiveAllocations);
    }

    /// <summary>What is kept for recordings is given up before a pass fails for want of memory.</summary>
    [Fact]
    public void RecordingsGiveWayWhereThereIsNoMemoryLeft()
    {
        using var device = new LimitedDevice(limit: 3 << 10);
        int shortages = 0;
        BlockPool? kept = null;
        using var pool = new BlockPool(device.Memory)
        {
            Shortage = () =>
            {
                shortages++;
                kept!.Trim();
            },
        };
        kept = pool;
        using (pool.Enter())
        {
            Tensor.Empty([512], DType.Float32, device).Dispose();
            Assert.Equal(0, shortages);
            Tensor.Empty([640], DType.Float32, device).Dispose();
            Assert.Equal(1, shortages);
            Assert.Throws<DeviceMemoryException>(() => Tensor.Empty([4096], DType.Float32, device));
        }
        Assert.Equal(2, shortages);
    }

    [Fact]
    public void WhatIsDroppedGivesItsMemoryToOthers()
    {
        using GpuDevice gpu = GpuDevice.Interpreting(new FakePtxDriver(), "fake");
        using var pool = new BlockPool(gpu.Memory);
        using var large = new GpuGraph(gpu, pool, null);
        using var small = new GpuGraph(gpu, pool, null);
        Record(large, 1 << 16);
        Record(small, 1 << 10);
        long given = gpu.Memory.Statistics.SystemAllocations;
        // Both know their blocks.
        pool.Trim();
        using (Tensor.Empty([1 << 16], DType.Float32, gpu)) Assert.Equal(++given, gpu.Memory.Statistics.SystemAllocations);
        gpu.Memory.Trim();
        large.Dispose();
        pool.Trim();
        using Tensor other = Tensor.Empty([1 << 16], DType.Float32, gpu), further = Tensor.Empty([1 << 10], DType.Float32, gpu);
        // The block of the first is free, that of the second is not.
        Assert.Equal(given + 1, gpu.Memory.Statistics.SystemAllocations);
        Assert.True(small.TryReplay());

        void Record(GpuGraph graph, int elements)
        {
            using (pool.Enter()) graph.Rehearse(Work);
            using (pool.Enter()) Assert.True(graph.TryRecord(Work), graph.Obstacle);

            void Work()
            {
                using Tensor between = Tensor.Empty([elements], DType.Float32, gpu);
                between.FillZero();
            }
        }
    }
}
