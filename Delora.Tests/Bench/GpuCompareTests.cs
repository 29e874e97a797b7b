using System.Text.Json;
using BenchmarkDotNet.Attributes;
using Delora.Bench;
using Delora.Bench.Compare;
using Delora.Bench.Compare.Gpu;
using Delora.Core;
using Delora.Kernels;
using Delora.Tests.DeviceTests;

namespace Delora.Tests.Bench;

/// <summary>The comparison on a GPU, without one: its rows, and Delora's side of them on the processor.</summary>
public sealed class GpuCompareTests
{
    /// <summary>The processor stands for OpenCL, which has neither other precisions nor graphs.</summary>
    public static TheoryData<string, int> Rehearsed
    {
        get
        {
            TheoryData<string> devices = TestDevices.CudaNames;
            devices.Add("cpu");
            return devices.With(Enumerable.Range(0, GpuPlan.Rehearsal.Count));
        }
    }

    public static TheoryData<string> Cards => TestDevices.CudaNames;

    /// <summary>Rows are joined by name and shape; what they name exists.</summary>
    [Theory, InlineData(true), InlineData(false)]
    public void Every_row_is_its_own_and_names_work_that_exists(bool full)
    {
        IReadOnlyList<GpuCase> cases = full ? GpuPlan.Full : GpuPlan.Rehearsal;
        Assert.Equal(cases.Count, cases.Select(@case => (@case.Name, @case.Shape)).Distinct().Count());
        foreach (GpuCase @case in cases.Where(@case => @case.Kind == GpuPlan.Op))
        {
            string[] names = @case.Pass.Split('.');
            Type type = typeof(OpBenchmarks).Assembly.GetType($"Delora.Bench.Ops.{names[0]}Benchmarks", throwOnError: true)!;
            Assert.True(type.GetMethod(names[1])!.IsDefined(typeof(BenchmarkAttribute), inherit: true), @case.Pass);
            Work work = ((OpBenchmarks)Activator.CreateInstance(type)!).WorkOf(names[1], new BenchShape("gpu", @case.Sizes));
            Assert.True(work is { Flops: >= 0, Bytes: > 0 } && double.IsFinite(work.Flops + work.Bytes), @case.ToString());
        }
        foreach (GpuCase @case in cases.Where(@case => @case.Kind is GpuPlan.Step or GpuPlan.Eager))
            Assert.Equal(@case.Sizes[7], GpuModels.Get(@case.Pass).Vocabulary);
    }

    [Fact]
    public void Full_and_rehearsed_rows_take_the_same_ways()
    {
        static IEnumerable<string> Ways(IEnumerable<GpuCase> cases) =>
            cases.Select(@case => @case.Kind is GpuPlan.Step or GpuPlan.Eager
                ? $"{@case.Kind} {GpuModels.Get(@case.Pass).IsLlama} {@case.Type}"
                : $"{@case.Kind} {@case.Pass} {@case.Type}").Distinct().Order(StringComparer.Ordinal);
        Assert.Equal(Ways(GpuPlan.Full), Ways(GpuPlan.Rehearsal));
    }

    /// <summary>After a fault of a kernel all that follows in a process would fail, too.</summary>
    [Fact]
    public void A_device_that_has_failed_needs_a_new_process()
    {
        var driver = new FakePtxDriver();
        using GpuDevice gpu = GpuDevice.Interpreting(driver, "fake");
        Assert.False(Successor.IsNeeded(gpu));
        driver.Fault = new DeviceException("CUDA_ERROR_ILLEGAL_ADDRESS (700)");
        Assert.True(Successor.IsNeeded(gpu));
        driver.Fault = null;
    }

    /// <summary>The peers' table of operations has an entry for every row.</summary>
    [Fact]
    public void Peers_know_every_operation()
    {
        string folder = Path.Combine(RepositoryOrSkip(), "Delora.Bench", "peers");
        string ops = File.ReadAllText(Path.Combine(folder, "ops.py")), compare = File.ReadAllText(Path.Combine(folder, "compare.py"));
        foreach (GpuCase @case in GpuPlan.Full)
        {
            Assert.Contains($"\"{@case.Kind}\"", compare);
            Assert.Contains($"\"{@case.Type}\"", compare);
            if (@case.Kind == GpuPlan.Op) Assert.Contains($"\"{@case.Pass}\"", ops);
        }
    }

    /// <summary>Each checks itself against the reference when it is made, and is timed; the device multiplies afterwards as before.</summary>
    [Theory, MemberData(nameof(Rehearsed))]
    public void Delora_computes_every_row(string name, int index)
    {
        Device device = TestDevices.Get(name);
        GpuCase @case = GpuPlan.Rehearsal[index];
        using (GpuWork work = GpuWork.Create(@case, device))
        {
            Assert.True(work.Measure(1e-3) > 0);
            Assert.True(work.Tokens > 0 || work.Work.Bytes > 0);
            Assert.Equal(name == "cpu" && @case.Type != GpuCase.Float32 ? ", in float32" : "", work.Remark);
            if (device is GpuDevice during) Assert.Equal(@case.Precision, during.MatMulPrecision);
        }
        if (device is GpuDevice after) Assert.Equal(MatMulPrecision.Float32, after.MatMulPrecision);
    }

    [Fact]
    public void A_processor_is_no_gpu() => Assert.Null(GpuRun.Find("cpu"));

    [Fact]
    public void Rows_of_both_sides_are_joined_and_a_line_that_was_cut_off_is_left_out()
    {
        using var folder = new TemporaryFolder();
        GpuCase copy = GpuPlan.Full[0];
        Write("delora.jsonl", new(copy.Name, copy.Shape, "delora", 2, 1000, "GB/s"), new("norm", "3×4", "delora", 4, 900, "GB/s"),
            new("step", "2", "delora", 10, 50, "tokens/s", 70),
            new("step, launch by launch", "2", "delora", 25, 20, "tokens/s", 70), new("broken", "1", "delora", 0, Error: "why"));
        Write("peers.jsonl", new("norm", "3×4", "PyTorch", 2), new("step", "2", "PEFT", 15, 30, "tokens/s", 100), new("other", "1", "PyTorch", 1));
        File.AppendAllText(Path.Combine(folder.Path, "peers.jsonl"), "{\"name\":\"no");

        Assert.Equal(1, GpuJoin.Run(folder.Path));
        using JsonDocument written = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder.Path, "compare-gpu.json")));
        var ratios = written.RootElement.GetProperty("rows").EnumerateArray()
            .ToDictionary(row => (row.GetProperty("name").GetString(), row.GetProperty("kind").GetString()), row => row.GetProperty("ratio").GetDouble());
        Assert.Equal(
            new Dictionary<(string?, string?), double>
            {
                [("norm; PyTorch", "peer")] = 0.5,
                [("step; PEFT", "peer")] = 1.5,
                [("step; PEFT", "memory")] = 0.7,
                [("norm", "copy")] = 0.9,
                [("step", "graph")] = 2.5,
            },
            ratios);
        Assert.Equal(8, written.RootElement.GetProperty("results").GetArrayLength());

        void Write(string name, params GpuResult[] results) =>
            File.WriteAllLines(Path.Combine(folder.Path, name), results.Select(result => JsonSerializer.Serialize(result, GpuRun.Json)));
    }

    [Theory, MemberData(nameof(Cards))]
    public void A_curve_falls_on_a_card(string name)
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(0, GpuCurve.Run(folder.Path, TestDevices.Get(name), rehearse: true));
    }

    [Fact]
    public void A_curve_falls_and_leaves_what_a_peer_starts_from()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(0, GpuCurve.Run(folder.Path, Devices.Cpu, rehearse: true));
        foreach (string file in (string[])
            ["base/config.json", "base/model.safetensors", "adapter/adapter_model.safetensors", "adapter/adapter_config.json", "batches.json"])
            Assert.True(File.Exists(Path.Combine(folder.Path, file)), file);
        double[] own = JsonSerializer.Deserialize<double[]>(File.ReadAllText(Path.Combine(folder.Path, "delora.json")))!;
        Assert.Empty(GpuCurve.Compare(folder.Path));
        File.WriteAllText(Path.Combine(folder.Path, "peer-bfloat16.json"), JsonSerializer.Serialize(own.Select(loss => loss + 0.5)));
        File.WriteAllText(Path.Combine(folder.Path, "peer-float32.json"), JsonSerializer.Serialize(own.Select(loss => loss + 0.25)));
        Assert.Equal(2, Assert.Single(GpuCurve.Compare(folder.Path)).Ratio, 1e-9);
    }

    private static string RepositoryOrSkip()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
            if (File.Exists(Path.Combine(at.FullName, "Delora.sln"))) return at.FullName;
        Assert.Skip("the tests do not lie in the repository");
        return "";
    }
}
