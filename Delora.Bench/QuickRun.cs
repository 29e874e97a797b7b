using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Filters;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.NoEmit;
using Delora.Kernels;
using Perfolizer.Horology;

namespace Delora.Bench;

/// <summary>
/// Every op once, at its first shape on the best device, in this process: about a minute for all of them together, however many there
/// are. Good for
/// a first look and to see that everything validates; numbers to quote come from a full run.
/// </summary>
internal static class QuickRun
{
    // Setting up and validating take nearly as long again as what is timed.
    private const double BudgetSeconds = 30;
    // Before the warm-up the harness doubles the number of calls until one iteration is long enough: about two iterations in all.
    private const int Iterations = 3, WarmUps = 1, Pilots = 2;

    internal static int Run(IReadOnlyList<Type> classes)
    {
        string device = Devices.Best().Info.Selector;
        BenchmarkRunInfo[] plan = [.. classes.Select(type => BenchmarkConverter.TypeToBenchmarks(type, Config(device, 0)))];
        int cases = plan.Sum(info => info.BenchmarksCases.Length);
        if (cases == 0)
        {
            Console.Error.WriteLine("There is nothing to run.");
            return 2;
        }
        double milliseconds = Math.Clamp(BudgetSeconds * 1000 / (cases * (Iterations + WarmUps + Pilots)), 1, 250);
        Console.WriteLine(Invariant($"{cases} benchmarks on {device}, {Iterations} iterations of {milliseconds:F0} ms each"));
        Console.WriteLine($"{"benchmark",-44} {"shape",-26} {"mean",12} {"± %",6} {"GFLOP/s",9} {"GB/s",8}");
        int failed = 0;
        foreach (Type type in classes)
        {
            Summary summary = BenchmarkRunner.Run(type, Config(device, milliseconds));
            foreach (BenchmarkCase benchmark in summary.BenchmarksCases)
            {
                string name = $"{type.Name.Replace("Benchmarks", "")}.{benchmark.Descriptor.WorkloadMethod.Name}";
                if (summary[benchmark]?.ResultStatistics is not { } statistics)
                {
                    failed++;
                    Console.WriteLine($"{name,-44} {RateColumn.ShapeOf(benchmark),-26} failed: {Reason(benchmark, device)}");
                    continue;
                }
                string spread = statistics.Mean > 0 ? Invariant($"{100 * statistics.StandardDeviation / statistics.Mean:F0}") : "-";
                string flops = RateColumn.GigaFlops.Format(benchmark, statistics.Mean), bytes = RateColumn.GigaBytes.Format(benchmark, statistics.Mean);
                Console.WriteLine(
                    $"{name,-44} {RateColumn.ShapeOf(benchmark),-26} {Time(statistics.Mean),12} {spread,6} {flops,9} {bytes,8}");
            }
        }
        Console.WriteLine($"{cases - failed} run, {failed} failed");
        return failed == 0 ? 0 : 1;
    }

    private static ManualConfig Config(string device, double iterationMilliseconds)
    {
        Job job = Job.Default.WithToolchain(new InProcessNoEmitToolchain(TimeSpan.FromMinutes(10), logOutput: false))
            .WithWarmupCount(WarmUps).WithIterationCount(Iterations);
        if (iterationMilliseconds > 0) job = job.WithIterationTime(TimeInterval.FromMilliseconds(iterationMilliseconds));
        return ManualConfig.CreateEmpty().AddJob(job).AddLogger(NullLogger.Instance).AddColumnProvider(DefaultColumnProviders.Instance)
            .WithOptions(ConfigOptions.DisableLogFile)
            .AddFilter(new SimpleFilter(benchmark =>
                (string)benchmark.Parameters[nameof(OpBenchmarks.On)] == device
                && RateColumn.ShapeOf(benchmark).ToString() == FirstShape(benchmark.Descriptor.Type)));
    }

    private static string FirstShape(Type type) => ((OpBenchmarks)Activator.CreateInstance(type)!).Shapes.First().ToString();

    /// <summary>What the harness swallowed: the benchmark's own setup says it.</summary>
    private static string Reason(BenchmarkCase benchmark, string device)
    {
        var op = (OpBenchmarks)Activator.CreateInstance(benchmark.Descriptor.Type)!;
        try
        {
            op.Validate(Devices.Get(device));
            return "it validates; run it with --filter to see the harness's message";
        }
        catch (Exception error)
        {
            return error.Message;
        }
    }

    private static string Time(double nanoseconds) =>
        nanoseconds >= 1e6 ? Invariant($"{nanoseconds / 1e6:F2} ms") : Invariant($"{nanoseconds / 1e3:F2} µs");

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
