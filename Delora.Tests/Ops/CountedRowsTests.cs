using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Ops;

/// <summary>Means over rows of which some do not count: what these hold changes nothing, and recorded work follows the count.</summary>
public sealed class CountedRowsTests
{
    private const int Rows = 40, Dim = 5, Vocabulary = 11;

    public static TheoryData<string> Devices => TestDevices.AllNames;

    public static TheoryData<string> Cards => TestDevices.CudaNames;

    [Theory, MemberData(nameof(Devices))]
    public void NaNInRowsThatDoNotCountSpoilsNothing(string name)
    {
        Device device = TestDevices.Get(name);
        int[] labels = Labels(seed: 1, ignored: 13);
        double[] x = OpTesting.Numbers(Rows * Dim, 2), spoilt = [.. x.Select((value, i) => labels[i / Dim] < 0 ? double.NaN : value)];
        Assert.Equal(Linear(x), Linear(spoilt));
        Assert.All(Linear(spoilt), value => Assert.True(double.IsFinite(value)));
        double[] logits = OpTesting.Numbers(Rows * Vocabulary, 3);
        Assert.Equal(Logits(logits), Logits([.. logits.Select((value, i) => labels[i / Vocabulary] < 0 ? double.NaN : value)]));

        double[] Linear(double[] values)
        {
            using var scope = new TensorScope();
            Tensor loss = OpTesting.Output([], device), dx = OpTesting.Output([Rows, Dim], device), dw = OpTesting.Output([Vocabulary, Dim], device);
            LinearCrossEntropyKernel.Forward(
                Tensor.From(values, [Rows, Dim], device), OpTesting.Floats([Vocabulary, Dim], device, 4), Tensor.FromIndices(labels, [Rows], device), loss,
                dx, dw);
            return [.. loss.ToArray<double>(), .. dx.ToArray<double>(), .. dw.ToArray<double>()];
        }

        double[] Logits(double[] values)
        {
            using var scope = new TensorScope();
            Tensor loss = OpTesting.Output([], device), z = OpTesting.Output([Rows], device), d = OpTesting.Output([Rows, Vocabulary], device);
            Tensor all = Tensor.From(values, [Rows, Vocabulary], device), given = Tensor.FromIndices(labels, [Rows], device);
            int count = CrossEntropyKernel.Forward(all, given, loss, z);
            CrossEntropyKernel.Backward(all, given, z, Tensor.From([1.0], [], device), d, count);
            return [.. loss.ToArray<double>(), .. d.ToArray<double>()];
        }
    }

    /// <summary>As many rows are computed for 27 as for 32 that count; the mean is over those that do.</summary>
    [Theory, MemberData(nameof(Cards))]
    public void ARecordedLossFollowsTheCount(string name)
    {
        var gpu = (GpuDevice)TestDevices.Get(name);
        int[][] batches = [.. ((int[])[13, 8, 10, 12, 9]).Select((ignored, i) => Labels(i, ignored))];
        double[][] launched = [.. Run(record: false)];
        Assert.Equal(launched, Run(record: true));
        Assert.Equal(5, launched.Select(numbers => numbers[0]).Distinct().Count());

        IEnumerable<double[]> Run(bool record)
        {
            using var scope = new TensorScope();
            Tensor x = OpTesting.Floats([Rows, Dim], gpu, 2), w = OpTesting.Floats([Vocabulary, Dim], gpu, 4);
            Tensor logits = OpTesting.Floats([Rows, Vocabulary], gpu, 3);
            Tensor dx = OpTesting.Output([Rows, Dim], gpu), dw = OpTesting.Output([Vocabulary, Dim], gpu), d = OpTesting.Output([Rows, Vocabulary], gpu);
            Tensor loss = OpTesting.Output([], gpu), second = OpTesting.Output([], gpu), one = Tensor.From([1f], [], gpu);
            using var pool = new BlockPool(gpu.Memory);
            using var graph = new GpuGraph(gpu, pool, null);
            for (int i = 0; i < batches.Length; i++)
            {
                int[] labels = batches[i];
                using BlockPool.Session session = pool.Enter();
                if (!record || i == 0) graph.Rehearse(Work);
                else
                {
                    if (i == 1) Assert.True(graph.TryRecord(Work), graph.Obstacle);
                    Assert.True(graph.TryReplay());
                }
                yield return [.. loss.ToArray<double>(), .. second.ToArray<double>(), .. dx.ToArray<double>(), .. dw.ToArray<double>(), .. d.ToArray<double>()];

                void Work()
                {
                    using var inner = new TensorScope();
                    // The batch of the moment, also when it is replayed.
                    Tensor given = GpuGraph.Derived(() => batches[Current()], [Rows], gpu, "labels"), z = Tensor.Empty([Rows], DType.Float32, gpu);
                    LinearCrossEntropyKernel.Forward(x, w, given, loss, dx, dw);
                    int count = CrossEntropyKernel.Forward(logits, given, second, z);
                    CrossEntropyKernel.Backward(logits, given, z, one, d, count);
                }

                int Current() => i;
            }
        }
    }

    [Theory, MemberData(nameof(Cards))]
    public void ARecordedLossIsNotReplayedForMoreRowsOrLabelsThatAreWrong(string name)
    {
        var gpu = (GpuDevice)TestDevices.Get(name);
        using var scope = new TensorScope();
        int[] now = Labels(1, ignored: 13);
        Tensor x = OpTesting.Floats([Rows, Dim], gpu, 2), w = OpTesting.Floats([Vocabulary, Dim], gpu, 4), loss = OpTesting.Output([], gpu);
        using var pool = new BlockPool(gpu.Memory);
        using var graph = new GpuGraph(gpu, pool, null);
        using (pool.Enter()) graph.Rehearse(Work);
        using (pool.Enter()) Assert.True(graph.TryRecord(Work), graph.Obstacle);
        Assert.True(graph.TryReplay());
        foreach (int ignored in (int[])[0, 1, 7, 16, 40])
        {
            now = Labels(2, ignored);
            Assert.False(graph.TryReplay());
            Assert.True(graph.IsForOtherWork);
        }
        now = [.. Labels(3, ignored: 13).Select(label => label == 3 ? Vocabulary : label)];
        Assert.False(graph.TryReplay());
        now = Labels(4, ignored: 8);
        Assert.True(graph.TryReplay());
        Assert.False(graph.IsForOtherWork);

        void Work()
        {
            using var inner = new TensorScope();
            LinearCrossEntropyKernel.Forward(x, w, GpuGraph.Derived(() => now, [Rows], gpu, "labels"), loss, null, null);
        }
    }

    private static int[] Labels(int seed, int ignored)
    {
        int[] labels = [.. Enumerable.Range(0, Rows).Select(i => (i * 3 + seed) % Vocabulary)];
        for (int i = 0; i < ignored; i++) labels[(i * 7 + seed) % Rows] = CrossEntropyKernel.IgnoreIndex;
        return labels;
    }
}
