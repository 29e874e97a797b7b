using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn.Adapters;

public sealed class BoundReportTests
{
    [Theory, InlineData(false), InlineData(true)]
    public void TheReportAgreesWithDenseMatrices(bool residual)
    {
        using Linear layer = new(7, 9, Devices.Reference, new Generator(1));
        using Sequential network = new(layer);
        using PeftModel model = new(network);
        Assert.Empty(model.BoundReport().Layers);
        Assert.Null(model.BoundReport().Nearest);
        model.AddAdapter(
            new DeloraConfig { R = 3, DeloraLambda = -4, InitWeights = residual, ResidualInitialization = residual, TargetModules = ModuleSelector.AllLinear },
            new Generator(2));
        var adapter = (DeloraAdapter)layer.Adapters["default"];
        // Away from the start, where a residual update is zero, and its two branches the same.
        adapter.A.Value.CopyFrom<double>([.. adapter.A.Value.ToArray<double>().Select((value, i) => value + Math.Cos(i))]);
        adapter.B.Value.CopyFrom<double>([.. adapter.B.Value.ToArray<double>().Select((value, i) => value + Math.Sin(i))]);
        LayerBound bound = Assert.Single(model.BoundReport().Layers);
        using Tensor delta = adapter.DeltaWeight();
        double[] dense = delta.ToArray<double>(), w = adapter.ColumnNorms.ToArray<double>();
        double norm = Math.Sqrt(dense.Sum(x => x * x)), direction = Math.Sqrt(dense.Select((x, i) => Math.Pow(x / w[i % 7], 2)).Sum());
        int times = residual ? 2 : 1;
        Assert.Equal(norm, bound.Norm, 1e-10);
        Assert.Equal(direction, bound.DirectionNorm!.Value, 1e-10);
        Assert.Equal((4.0 * times, 4 * times * w.Max(), -4.0), (bound.DirectionBound!.Value, bound.Bound!.Value, bound.Lambda!.Value));
        Assert.Equal(norm / bound.Bound.Value, bound.Utilization!.Value, 1e-12);
        Assert.InRange(bound.Utilization.Value, 0.05, 1);
        Assert.InRange(bound.DirectionUtilization!.Value, 0.05, 1);
        Assert.Same(bound, new BoundReport([bound, bound with { Norm = bound.Norm / 2 }]).Nearest);
        Assert.Contains("0\tdefault\t", model.BoundReport().ToString(), StringComparison.Ordinal);
        model.AddAdapter(new LoraConfig { R = 2, InitWeights = false, TargetModules = ModuleSelector.AllLinear }, new Generator(2), "lora");
        LayerBound free = Assert.Single(model.BoundReport().Layers);
        Assert.Equal((null, null, null, null), (free.Bound, free.DirectionBound, free.Utilization, free.Lambda));
        Assert.Same(free.Layer, model.BoundReport().Nearest!.Layer);
    }
}
