using System.Text.Json;
using Delora.Bench.Compare;
using Delora.Bench.Compare.Gpu;

namespace Delora.Tests.Bench;

/// <summary>The comparison's own parts; the peer is no part of the tests.</summary>
public sealed class CompareTests
{
    [Fact]
    public void A_case_is_one_line_of_text()
    {
        var @case = new CompareCase("product", "NT", 2, 512, 768, 3072);
        Assert.Equal("product NT 2 512 768 3072", @case.ToString());
        Assert.Equal(@case.ToString(), CompareCase.Parse(@case.ToString()).ToString());
    }

    /// <summary>Nothing is built, opened or written for it.</summary>
    [Fact]
    public void A_filter_without_rows_is_an_error_and_help_is_none()
    {
        Assert.Equal(2, CompareRun.Run(["--hepl"]));
        Assert.Equal(2, CompareRun.Run(["sgemm", "NN"]));
        Assert.Equal(2, GpuRun.Run(["--only", "no such row"]));
        Assert.Equal(2, GpuRun.Run(["plan", "--only", "no such row"]));
        foreach (string help in (string[])["-h", "--help"]) Assert.Equal(0, CompareRun.Run([help]) + GpuRun.Run([help]));
        Assert.All(ComparePlan.Having(ComparePlan.All, ComparePlan.Text, "DELORA layer, forward layer"), row => Assert.Equal("layer", row.Case.Kind));
        Assert.NotEmpty(ComparePlan.Having(ComparePlan.All, ComparePlan.Text, "512 768 768"));
        Assert.Equal(ComparePlan.All.Count(), ComparePlan.All.Select(ComparePlan.Text).Distinct().Count());
        Assert.Equal(0, GpuRun.Run(["plan", "--only", "OP ADD"]));
    }

    [Fact]
    public void Rows_are_written_under_the_documented_names()
    {
        var row = new CompareRow("sgemm NN", "2×3×4", 2, "peer", 200, 100, "GFLOP/s", 2);
        using JsonDocument document = JsonDocument.Parse(CompareRow.ToJson([row]));
        JsonElement written = Assert.Single(document.RootElement.GetProperty("rows").EnumerateArray());
        string[] names = ["name", "shape", "threads", "kind", "ours", "peer", "unit", "ratio"];
        Assert.Equal(names, written.EnumerateObject().Select(property => property.Name));
        Assert.Equal(2, written.GetProperty("ratio").GetDouble());
    }

    [Fact]
    public void The_mean_is_geometric()
    {
        CompareRow[] rows = [Row(1), Row(4)];
        CompareRow mean = CompareRow.Mean("mean", rows);
        Assert.Equal(2, mean.Ratio, 1e-12);
        Assert.Equal(1, mean.Ours);

        static CompareRow Row(double ratio) => new("x", "1", 1, "peer", ratio, 1, "x", ratio);
    }

    [Fact]
    public void A_sample_sees_a_single_wrong_element_by_the_largest()
    {
        float[] values = Numbers.Uniform("x", 1000, 0.5);
        Assert.Equal(values, Numbers.Uniform("x", 1000, 0.5));
        Assert.All(values, value => Assert.InRange(value, -0.5f, 0.5f));
        double[] before = Numbers.Sample(values);
        values[17] = 7;
        Assert.NotEqual(before, Numbers.Sample(values));
    }

    /// <summary>Both kinds of model, small: the loss falls when the batch is learnt.</summary>
    [Theory, InlineData(true, 2), InlineData(false, 2), InlineData(false, 0)]
    public void The_models_that_are_timed_learn(bool llama, int rank)
    {
        var shape = new ModelShape("small", llama, 2, 24, 40, 4, llama ? 2 : 4, 67, 2, 9, rank);
        using var step = new OwnStep(shape, threads: 2);
        double[] first = step.Results().Values.Single();
        for (int i = 0; i < 40; i++) step.Run();
        double[] last = step.Results().Values.Single();
        Assert.All(first.Concat(last), loss => Assert.True(double.IsFinite(loss)));
        Assert.True(last[2] < first[0], $"{first[0]} → {last[2]}");
    }

    /// <summary>The step that is timed takes what is planned for it.</summary>
    [Theory, InlineData(true, 2), InlineData(false, 2), InlineData(false, 0)]
    public void The_models_that_are_timed_are_planned(bool llama, int rank)
    {
        var shape = new ModelShape("small", llama, 2, 96, 160, 4, llama ? 2 : 4, 67, 2, 9, rank);
        using var step = new OwnStep(shape, threads: 2);
        step.Run();
        step.ResetPeak();
        step.Run();
        Assert.InRange(OwnStep.Plan(shape, 2), step.PeakBytes, 1.5 * step.PeakBytes);
    }

    [Fact]
    public void A_layer_has_a_gradient_for_everything_that_is_compared()
    {
        using var layer = new OwnLayer(new CompareCase("layer", "backward", 2, 5, 24, 3));
        Dictionary<string, double[]> results = layer.Results();
        string[] names = ["y", "dx", "dA", "dB", "dλ"];
        Assert.Equal(names, results.Keys);
        Assert.All(results.Values, sample => Assert.Contains(sample, value => value != 0));
    }
}
