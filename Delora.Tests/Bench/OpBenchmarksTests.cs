using BenchmarkDotNet.Attributes;
using Delora.Bench;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Tests.Bench;

/// <summary>Benchmarks are correct before they are timed; here they are only checked, never timed.</summary>
public sealed class OpBenchmarksTests
{
    public static TheoryData<Type> Classes =>
        [.. typeof(OpBenchmarks).Assembly.GetTypes().Where(type => type.IsSubclassOf(typeof(OpBenchmarks)) && !type.IsAbstract)];

    [Theory, MemberData(nameof(Classes))]
    public void Results_are_right_and_the_work_is_declared(Type type)
    {
        var op = (OpBenchmarks)Activator.CreateInstance(type)!;
        op.Validate(Devices.Cpu);
        Assert.NotEmpty(op.Shapes);
        foreach (var method in type.GetMethods().Where(method => method.IsDefined(typeof(BenchmarkAttribute), true)))
            foreach (BenchShape shape in op.Shapes)
            {
                Work work = op.WorkOf(method.Name, shape);
                Assert.True(work is { Flops: >= 0, Bytes: > 0 } && double.IsFinite(work.Flops + work.Bytes),
                    $"{type.Name}.{method.Name} at {shape}: {work}");
            }
    }

    [Fact]
    public void A_wrong_result_is_refused()
    {
        var error = Assert.Throws<InvalidOperationException>(() => new WrongOnCpu().Validate(Devices.Cpu));
        Assert.Contains("element 0 is 1, not 0", error.Message);
    }

    [Fact]
    public void A_benchmark_without_output_is_refused()
    {
        var error = Assert.Throws<InvalidOperationException>(() => new WritesNothing().Validate(Devices.Cpu));
        Assert.Contains("nothing to validate", error.Message);
    }

    private class WritesNothing : OpBenchmarks
    {
        public override IEnumerable<BenchShape> Shapes => [new("any", 3)];

        protected override BenchShape ValidationShape => new("any", 3);

        protected Tensor? Y { get; private set; }

        public override Work WorkOf(string benchmark, BenchShape shape) => Work.Floats(shape.Dims[0]);

        protected override void Prepare(BenchShape shape) => Y = Output([shape.Dims[0]]);

        [Benchmark]
        public virtual void Forward() => Device.Synchronize();
    }

    private sealed class WrongOnCpu : WritesNothing
    {
        public override void Forward() => Y!.CopyFrom<double>(Device is ReferenceDevice ? [0.0, 0, 0] : [1.0, 0, 0]);
    }
}
