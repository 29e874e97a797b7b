using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;

namespace Delora.Bench;

/// <summary>A rate from the work that a benchmark declares: GFLOP/s or GB/s.</summary>
internal sealed class RateColumn(string name, Func<Work, double> amount) : IColumn
{
    internal static readonly RateColumn GigaFlops = new("GFLOP/s", work => work.Flops), GigaBytes = new("GB/s", work => work.Bytes);

    public string Id => nameof(RateColumn) + name;

    public string ColumnName => name;

    public bool AlwaysShow => true;

    public ColumnCategory Category => ColumnCategory.Metric;

    public int PriorityInCategory => 0;

    public bool IsNumeric => true;

    public UnitType UnitType => UnitType.Dimensionless;

    public string Legend => $"{name}, from the declared work of one call and the mean time";

    public bool IsAvailable(Summary summary) => true;

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase) => GetValue(summary, benchmarkCase, SummaryStyle.Default);

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) =>
        summary[benchmarkCase]?.ResultStatistics is { } statistics ? Format(benchmarkCase, statistics.Mean) : "-";

    /// <summary>The rate of a call of <paramref name="nanoseconds"/>: 10^9 a second is 1 a nanosecond.</summary>
    internal string Format(BenchmarkCase benchmarkCase, double nanoseconds)
    {
        if (Activator.CreateInstance(benchmarkCase.Descriptor.Type) is not OpBenchmarks op) return "-";
        double done = amount(op.WorkOf(benchmarkCase.Descriptor.WorkloadMethod.Name, ShapeOf(benchmarkCase)));
        return done > 0 ? (done / nanoseconds).ToString("F2", CultureInfo.InvariantCulture) : "-";
    }

    internal static BenchShape ShapeOf(BenchmarkCase benchmarkCase) => (BenchShape)benchmarkCase.Parameters[nameof(OpBenchmarks.Shape)];
}
