using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.DeviceTests;

/// <summary>How often a training step of an adapted layer calls on the card. On a small model, launches are what takes its time.</summary>
public sealed class DeloraLaunchTests
{
    [Theory]
    [InlineData(1, false, 1)]
    [InlineData(3, false, 3)]
    [InlineData(3, true, 1)]
    [InlineData(8, true, 1)]
    [InlineData(17, true, 3)]
    public void TheFoldIsTwoLaunchesEachWayAndTheOptimizerOneForAllLayers(int layers, bool together, int pairs)
    {
        var driver = new FakePtxDriver();
        using GpuDevice gpu = GpuDevice.Interpreting(driver, "fake");
        List<Parameter> parameters = [];
        using var scope = new TensorScope();
        for (int i = 0; i < layers; i++)
            parameters.AddRange([new($"A{i}", Ones([3, 5])), new($"B{i}", Ones([7, 3])), new($"lambda{i}", Ones([1]))]);
        using var optimizer = new AdamW(parameters);
        Tensor w = Ones([5]), x = Ones([4, 5]);
        DeloraBranch[][] branches = [.. parameters.Chunk(3).Select(own => (DeloraBranch[])[new(own[0], own[1], own[2], w)])];
        using (var tape = new Tape())
        {
            (Tensor A, Tensor B)[] folded = null!;
            Assert.Equal(
                Enumerable.Repeat((string[])["NormsKernel", "FoldBKernel"], pairs).SelectMany(pair => pair),
                Launches(() => folded = together ? Functions.DeloraFoldAll(branches) : [.. branches.Select(own => Functions.DeloraFold(own))]));
            Tensor loss = null!;
            Launches(() => loss = Functions.Concat(
                0, [.. folded.Select(pair => x.MatMul(pair.A, MatMulLayout.NT).MatMul(pair.B, MatMulLayout.NT))]).Sum());
            IEnumerable<string> back = Launches(() => tape.Backward(loss));
            // The gradients are written where the optimizer reads them: nothing is added afterwards.
            Assert.Equal(
                Enumerable.Repeat((string[])["DotsKernel", "GradientKernel"], pairs).SelectMany(pair => pair),
                back.Where(entry => entry.Contains("DotsKernel") || entry.Contains("GradientKernel") || entry.Contains("Add")));
        }
        Assert.Equal(["PartialKernel", "SquareRootKernel", "UnaryKernel", "ScaledKernel"], Launches(() => optimizer.Step(maxGradientNorm: 1)));
        Assert.Equal([], Launches(optimizer.ZeroGradients));
        foreach (Parameter parameter in parameters) parameter.Dispose();

        Tensor Ones(Shape shape) => Tensor.From([.. Enumerable.Repeat(1f, (int)shape.ElementCount)], shape, gpu);

        List<string> Launches(Action work)
        {
            driver.Launched.Clear();
            work();
            return driver.Launched.ConvertAll(launch => launch.Entry.Replace("Kernel_", "", StringComparison.Ordinal));
        }
    }
}
