using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.DeviceTests;

/// <summary>Recorded work whose arguments the host gives anew before each replay.</summary>
public sealed class FedWorkTests
{
    public static TheoryData<string> Cards => TestDevices.CudaNames;

    [Theory, MemberData(nameof(Cards))]
    public void AReplayedStepOfAdamWHasItsOwnRateAndNumber(string name) => Compare(name, (gpu, step) =>
    {
        Tensor m = Tensor.Zeros([40], DType.Float32, gpu), v = Tensor.Zeros([40], DType.Float32, gpu);
        return (p, g, gate) => AdamWKernel.Step(p, g, m, v, null, () => (new AdamWSettings(0.1 / step(), WeightDecay: 0.1), step()), gate);
    });

    [Theory, MemberData(nameof(Cards))]
    public void AReplayedStepOfSgdHasItsOwnRateAndNumber(string name) => Compare(name, (gpu, step) =>
    {
        Tensor buffer = Tensor.Zeros([40], DType.Float32, gpu);
        // Only the first step does not read the buffer; the recording is of the second.
        return (p, g, gate) => SgdKernel.Step(p, g, buffer, null, () => (new SgdSettings(0.1 / step(), 0.9), step()), gate);
    });

    [Theory, MemberData(nameof(Cards))]
    public void AReplayedClampHasItsOwnRanges(string name) => Compare(name, (_, step) => (p, _, gate) =>
    {
        using Tensor first = p.View([3]), second = p.View([37], 3);
        ClampKernel.Forward([first, second], () => [new(-0.5 / step(), 0.5 / step()), new(-0.25, 0.6 / step())], gate);
    });

    private static void Compare(string name, Func<GpuDevice, Func<long>, Action<Tensor, Tensor, Tensor>> make)
    {
        float[][] launched = [.. Run(record: false)], replayed = [.. Run(record: true)];
        Assert.Equal(launched, replayed);
        Assert.NotEqual(launched[1], launched[2]);
        // The gate was closed from the fourth step on.
        Assert.Equal(launched[2], launched[4]);

        IEnumerable<float[]> Run(bool record)
        {
            using var scope = new TensorScope();
            var gpu = (GpuDevice)TestDevices.Get(name);
            Tensor p = Ops.OpTesting.Floats([40], gpu, 1), g = Ops.OpTesting.Floats([40], gpu, 2), gate = Tensor.Zeros([1], DType.Float32, gpu);
            long step = 0;
            Action<Tensor, Tensor, Tensor> work = make(gpu, () => step);
            using var pool = new BlockPool(gpu.Memory);
            using var graph = new GpuGraph(gpu, pool, null);
            for (step = 1; step <= 5; step++)
            {
                if (step == 4) gate.CopyFrom<float>([float.NaN]);
                using BlockPool.Session session = pool.Enter();
                if (!record) work(p, g, gate);
                else if (step == 1) graph.Rehearse(() => work(p, g, gate));
                else
                {
                    if (step == 2) Assert.True(graph.TryRecord(() => work(p, g, gate)), graph.Obstacle);
                    Assert.True(graph.TryReplay());
                }
                yield return p.ToArray<float>();
            }
        }
    }
}
