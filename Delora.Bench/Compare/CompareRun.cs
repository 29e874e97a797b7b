using System.Globalization;
using Delora.Kernels;
using Spectre.Console;

namespace Delora.Bench.Compare;

/// <summary>
/// Delora beside libtorch: both in processes of their own, validated against each other, then timed in turn. Prints a table and writes
/// <c>artifacts/compare-cpu.json</c>.
/// </summary>
internal sealed class CompareRun(string filter)
{
    private const double SecondsPerRound = 0.05, SecondsPerStepRound = 0.5;
    private const string Usage = "compare cpu [TEXT]   Delora beside libtorch: the rows whose name or case has TEXT; writes artifacts/compare-cpu.json";
    private const int Rounds = 9, OwnRounds = 40, PeakRounds = 5, StepRounds = 5;

    /// <summary>After a call of libtorch its OpenMP workers spin for some milliseconds.</summary>
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(15);

    private readonly List<CompareRow> _rows = [];
    private readonly List<string> _failures = [], _plans = [];
    private readonly List<(string Name, CompareCase Case)> _failed = [];
    private SideProcess _own = null!;
    private SideProcess? _peer;
    private string? _peerPath;

    internal static int Run(string[] args)
    {
        switch (args)
        {
            case ["-h" or "--help"]:
                Console.WriteLine(Usage);
                return 0;
            case [] or [_]:
                string filter = args.FirstOrDefault("");
                // Before anything is built or written.
                return ComparePlan.Having(ComparePlan.All, ComparePlan.Text, filter).Length > 0
                    ? new CompareRun(filter).Run()
                    : ComparePlan.Refuse(filter, ComparePlan.All.Select(row => row.Name), $"{ComparePlan.All.First().Case}");
            default:
                Console.Error.WriteLine(Usage);
                return 2;
        }
    }

    /// <summary>Delora's side, started by the comparison.</summary>
    internal static int RunSide() => SideLoop.Run(
        @case => @case.Kind switch
        {
            "product" => new OwnProduct(@case),
            "layer" => new OwnLayer(@case),
            "step" => new OwnStep(ModelShape.Get(@case.Variant), @case.Threads),
            _ => throw new ArgumentException($"no case of kind '{@case.Kind}'"),
        },
        line => line.Split(' ') is ["peak", var threads]
            ? FmaPeak.Measure(int.Parse(threads, CultureInfo.InvariantCulture)).ToString("R", CultureInfo.InvariantCulture)
            : throw new InvalidOperationException($"unknown command '{line}'"));

    private int Run()
    {
        Console.WriteLine($"{Devices.Cpu}");
        try
        {
            _peerPath = PeerBuild.Build();
            _peer = SideProcess.StartPeer(_peerPath, tuned: true);
            Console.WriteLine($"{_peer.Greeting["ready ".Length..]}, allocator tuned");
        }
        catch (InvalidOperationException error)
        {
            _failures.Add($"No comparison with libtorch: {error.Message}");
            Console.WriteLine(_failures[^1]);
        }
        _own = SideProcess.StartOwn();
        foreach (int threads in ComparePlan.Threads) Products(threads);
        foreach (int threads in ComparePlan.Threads) Layers(threads);
        _own.Dispose();
        _peer?.Dispose();
        foreach ((string name, CompareCase @case) in Wanted(ComparePlan.Steps)) Step(name, @case);
        Print(_rows, _failed);
        string path = Path.Combine("artifacts", "compare-cpu.json");
        Directory.CreateDirectory("artifacts");
        File.WriteAllText(path, CompareRow.ToJson(_rows));
        Console.WriteLine($"{_rows.Count} rows in {path}");
        foreach (string plan in _plans) Console.WriteLine(plan);
        foreach (string failure in _failures) Console.Error.WriteLine(failure);
        return _failures.Count == 0 ? 0 : 1;
    }

    private void Products(int threads)
    {
        foreach (IGrouping<string, (string Name, CompareCase Case)> variant in Wanted(ComparePlan.Products(threads)).GroupBy(row => row.Case.Variant))
        {
            List<CompareRow> rows = [];
            foreach ((string name, CompareCase @case) in variant)
                Row(name, @case, () =>
                {
                    if (!Validated(name, @case, 1e-4)) return;
                    double flops = 2.0 * @case.Sizes[0] * @case.Sizes[1] * @case.Sizes[2] / 1e9;
                    (double ours, double peer) = InTurn(_own, _peer, Rounds);
                    if (_peer is not null) rows.Add(Add(name, @case, "peer", flops / ours, flops / peer, "GFLOP/s", peer / ours));
                    if (variant.Key == "frozen") OverPeak(name, @case, flops);
                });
            if (rows.Count > 1) _rows.Add(CompareRow.Mean($"{rows[0].Name}, geometric mean", rows));
        }
        CompareRow[] onTheFly = [.. _rows.Where(row => row.Threads == threads && row.Name is ("sgemm NN" or "sgemm NT" or "sgemm TN"))];
        if (onTheFly.Length > 1) _rows.Add(CompareRow.Mean("sgemm packed on the fly, geometric mean", onTheFly));
    }

    /// <summary>The product and the peak in turn: the clock of the processor moves.</summary>
    private void OverPeak(string name, CompareCase @case, double flops)
    {
        double[] rates = new double[PeakRounds], peaks = new double[PeakRounds], ratios = new double[PeakRounds];
        int count = Repetitions(_own, SecondsPerRound);
        for (int i = 0; i < PeakRounds; i++)
        {
            peaks[i] = _own.Number($"peak {@case.Threads}");
            rates[i] = flops / _own.Time(count);
            ratios[i] = rates[i] / peaks[i];
        }
        Add(name, @case, "peak", LayerRun.Median(rates), LayerRun.Median(peaks), "GFLOP/s", LayerRun.Median(ratios));
    }

    private void Layers(int threads)
    {
        foreach ((string name, CompareCase @case) in Wanted(ComparePlan.Layers(threads)))
            Row(name, @case, () =>
            {
                if (!Validated(name, @case, 1e-3)) return;
                (double ours, double peer) = InTurn(_own, _peer, Rounds);
                if (_peer is not null) Add(name, @case, "peer", ours * 1e3, peer * 1e3, "ms", peer / ours);
                OverFrozen(name, @case);
            });
    }

    /// <summary>The layer beside the frozen one, call by call in this process: what disturbs one disturbs the other.</summary>
    private void OverFrozen(string name, CompareCase @case)
    {
        using var cpu = new CpuDevice(@case.Threads);
        using OwnLayer adapted = new(@case, cpu), frozen = new(@case with { Sizes = [@case.Sizes[0], @case.Sizes[1], 0] }, cpu);
        (double alone, double with, double ratio) = LayerRun.InTurn(frozen.Run, adapted.Run, OwnRounds / 4, OwnRounds);
        Add(name, @case, "own", with, alone, "ms", ratio);
    }

    private void Step(string name, CompareCase @case)
    {
        if (_peerPath is { } path && _peer is not null) Row(name, @case, () => Step(ModelShape.Get(@case.Variant), name, @case, path), ownSides: true);
    }

    private void Step(ModelShape model, string name, CompareCase @case, string peerPath)
    {
        using SideProcess own = SideProcess.StartOwn(), peer = SideProcess.StartPeer(peerPath, tuned: true);
        (_own, _peer) = (own, peer);
        if (!Validated(name, @case, 1e-3)) return;
        (double ours, double theirs) = InTurn(own, peer, StepRounds, SecondsPerStepRound);
        Add(name, @case, "peer", ours * 1e3, theirs * 1e3, "ms", theirs / ours);
        Memory(name, @case, own, peer);
        _plans.Add(string.Create(
            CultureInfo.InvariantCulture,
            $"{name}: tensors take {OwnStep.Plan(model, @case.Threads) / (double)(1 << 20):F0} MiB by plan; the memory above is the whole process's"));
        if (model.Name != "gpt2-small") return;
        using SideProcess plain = SideProcess.StartPeer(peerPath, tuned: false);
        plain.Prepare(@case);
        plain.Settle();
        (ours, theirs) = InTurn(own, plain, StepRounds, SecondsPerStepRound);
        Add($"{name}; peer's allocator not tuned", @case, "peer", ours * 1e3, theirs * 1e3, "ms", theirs / ours);
        Memory($"{name}; peer's allocator not tuned", @case, own, plain);
    }

    private void Memory(string name, CompareCase @case, SideProcess own, SideProcess peer)
    {
        double ours = own.Number("memory") / (1 << 20), theirs = peer.Number("memory") / (1 << 20);
        Add(name, @case, "memory", ours, theirs, "MiB", ours / theirs);
    }

    /// <summary>Measures one case. Where it fails, the table says so, the others go on, and the exit code tells in the end.</summary>
    /// <param name="ownSides">Whether the case has processes of its own.</param>
    private void Row(string name, CompareCase @case, Action measure, bool ownSides = false)
    {
        try
        {
            measure();
        }
        catch (Exception error)
        {
            Fail(name, @case, error.Message);
            if (ownSides) return;
            if (_own.HasEnded)
            {
                _own.Dispose();
                _own = SideProcess.StartOwn();
            }
            if (_peer is not { HasEnded: true }) return;
            _peer.Dispose();
            _peer = SideProcess.StartPeer(_peerPath!, tuned: true);
        }
    }

    private void Fail(string name, CompareCase @case, string reason)
    {
        _failed.Add((name, @case));
        _failures.Add($"{@case}: {reason}");
    }

    private (string Name, CompareCase Case)[] Wanted(IEnumerable<(string Name, CompareCase Case)> rows) =>
        ComparePlan.Having(rows, ComparePlan.Text, filter);

    /// <summary>Makes the case ready on both sides and compares what they compute. Wrong results are not timed.</summary>
    private bool Validated(string name, CompareCase @case, double tolerance)
    {
        _own.Prepare(@case);
        _own.Settle();
        Dictionary<string, double[]> ours = _own.Results();
        if (_peer is null) return true;
        _peer.Prepare(@case);
        _peer.Settle();
        Dictionary<string, double[]> theirs = _peer.Results();
        foreach ((string result, double[] expected) in theirs)
        {
            var difference = Difference.Of(expected, ours[result]);
            if (difference.IsWithin(tolerance)) continue;
            Fail(name, @case, $"{result} differs by {difference.Error:G3}, its largest element is {difference.Largest:G3}: not timed.");
            return false;
        }
        return true;
    }

    /// <summary>
    /// Medians of rounds in which the two take turns, each long enough that a side that woke from a pause runs as it does without one.
    /// </summary>
    private static (double First, double Second) InTurn(SideProcess first, SideProcess? second, int rounds, double seconds = SecondsPerRound)
    {
        int firstCount = Repetitions(first, seconds), secondCount = second is null ? 0 : Repetitions(second, seconds);
        double[] a = new double[rounds], b = new double[rounds];
        for (int i = 0; i < rounds; i++)
        {
            Thread.Sleep(s_pause);
            a[i] = first.Time(firstCount);
            if (second is not null) b[i] = second.Time(secondCount);
        }
        return (LayerRun.Median(a), second is null ? double.NaN : LayerRun.Median(b));
    }

    private static int Repetitions(SideProcess side, double seconds)
    {
        side.Time(1);
        return (int)Math.Clamp(seconds / Math.Max(side.Time(2), 1e-6), 1, 1000);
    }

    private CompareRow Add(string name, CompareCase @case, string kind, double ours, double peer, string unit, double ratio)
    {
        var row = new CompareRow(name, @case.Shape, @case.Threads, kind, ours, peer, unit, ratio);
        _rows.Add(row);
        return row;
    }

    internal static void Print(IEnumerable<CompareRow> rows, IEnumerable<(string Name, CompareCase Case)>? failed = null)
    {
        Table table = new Table().Border(TableBorder.Simple).AddColumns("what", "shape", "threads", "kind", "ours", "peer", "unit", "ratio");
        foreach (CompareRow row in rows)
            table.AddRow(((string[])[row.Name, row.Shape, $"{row.Threads}", row.Kind, Number(row.Ours), Number(row.Peer), row.Unit,
                row.Ratio.ToString("F2", CultureInfo.InvariantCulture)]).Select(Markup.Escape).ToArray());
        foreach ((string name, CompareCase @case) in failed ?? [])
            table.AddRow(((string[])[name, @case.Shape, $"{@case.Threads}", "failed", "", "", "", ""]).Select(Markup.Escape).ToArray());
        AnsiConsole.Profile.Width = Math.Max(AnsiConsole.Profile.Width, 150);
        AnsiConsole.Write(table);

        static string Number(double value) => value.ToString(Math.Abs(value) < 100 ? "F2" : "F0", CultureInfo.InvariantCulture);
    }
}
