using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Bench.Compare.Gpu;

/// <summary>
/// Delora's side of the comparison on a GPU, and the joining with the peers' side. Every row is written as soon as it is known, one line of JSON: a run
/// that is cut off keeps what it has. After a fault of the device a new process goes on with the next row.
/// </summary>
internal static class GpuRun
{
    /// <summary>The exit code where the device is not there.</summary>
    internal const int NoDevice = 3;

    private const string Usage =
        """
        compare gpu [--device NAME] [--rehearse] [--only TEXT] [--seconds S] [--to FILE]   Delora's rows; FILE gets a line of JSON for each
                    [--skip N]                                                         without the first N, whose lines are in FILE
        compare gpu device [--device NAME]                                                 what it is; 3 where it is not there
        compare gpu plan [--rehearse] [--only TEXT]                                        the rows, for the peers
        compare gpu curve FOLDER [--device NAME] [--rehearse]                              losses of 200 steps; FOLDER gets what a peer starts from
        compare gpu join FOLDER                                                            delora.jsonl and peers.jsonl there: table, compare-gpu.json
        """;

    internal static readonly JsonSerializerOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    internal static int Run(string[] args)
    {
        string device = "auto", only = "", to = Path.Combine("artifacts", "compare-gpu.jsonl");
        bool rehearse = false;
        double seconds = 1;
        int skip = 0;
        var words = new List<string>();
        for (int i = 0; i < args.Length; i++)
            switch (args[i])
            {
                case "--rehearse": rehearse = true; break;
                case "--device" when i + 1 < args.Length: device = args[++i]; break;
                case "--only" when i + 1 < args.Length: only = args[++i]; break;
                case "--to" when i + 1 < args.Length: to = args[++i]; break;
                case "--seconds" when i + 1 < args.Length && double.TryParse(args[i + 1], CultureInfo.InvariantCulture, out seconds) && seconds > 0: i++; break;
                case "--skip" when i + 1 < args.Length && int.TryParse(args[i + 1], out skip) && skip >= 0: i++; break;
                default: words.Add(args[i]); break;
            }
        IReadOnlyList<GpuCase> all = rehearse ? GpuPlan.Rehearsal : GpuPlan.Full;
        GpuCase[] cases = ComparePlan.Having(all, @case => $"{@case.Kind} {@case.Name} {@case.Shape}", only);
        // Before anything is written.
        if (cases.Length == 0 && words is ([] or ["plan"])) return ComparePlan.Refuse(only, all.Select(@case => @case.Name), $"{all[0].Kind} {all[0].Shape}");
        switch (words)
        {
            case ["-h" or "--help"]:
                Console.WriteLine(Usage);
                return 0;
            case []:
                return Find(device) is { } info ? Measure(cases, skip, info, rehearse ? 0.02 : seconds, to, args) : NoDevice;
            case ["plan"]:
                foreach (GpuCase @case in cases) Console.WriteLine(JsonSerializer.Serialize(@case, Json));
                return 0;
            case ["device"]:
                if (Find(device) is not { } there) return NoDevice;
                Console.WriteLine(there);
                return 0;
            case ["curve", var folder]:
                return Find(device) is { } found ? GpuCurve.Run(folder, Devices.Get(found.Selector), rehearse) : NoDevice;
            case ["join", var folder]:
                return GpuJoin.Run(folder);
            default:
                Console.Error.WriteLine(Usage);
                return 2;
        }
    }

    /// <summary>The GPU of that name; where there is none, says so and gives null. The processor is none, whoever drives it, unless it is named.</summary>
    internal static DeviceInfo? Find(string device)
    {
        try
        {
            DeviceInfo info = Devices.Find(device, Devices.All, DeviceProbe.WhyNone);
            if (info.Kind is DeviceKind.Cuda or DeviceKind.OpenCL) return info;
            Console.Error.WriteLine($"There is no GPU here: '{device}' is {info}.");
        }
        catch (DeviceException error)
        {
            Console.Error.WriteLine(error.Message);
        }
        return null;
    }

    private static int Measure(GpuCase[] cases, int skip, DeviceInfo info, double seconds, string path, string[] args)
    {
        if (Path.GetDirectoryName(path) is { Length: > 0 } folder) Directory.CreateDirectory(folder);
        Device device = Devices.Get(info.Selector);
        int failed = 0, end = cases.Length;
        bool isLost = false;
        using (var file = new StreamWriter(path, append: skip > 0) { AutoFlush = true })
        {
            Console.WriteLine($"{info}");
            // Where there are no graphs, every step is taken launch by launch.
            bool hasGraphs = device is GpuDevice { Driver: not null };
            for (int i = skip; i < end; i++)
            {
                if (!hasGraphs && cases[i].Kind == GpuPlan.Eager) continue;
                GpuResult result;
                try
                {
                    result = Measure(cases[i], device, seconds);
                }
                // A row that cannot be had is a line with its reason; the others are still measured.
                catch (Exception error) when (error is DeloraException or InvalidOperationException or OutOfMemoryException)
                {
                    failed++;
                    result = new(cases[i].Name, cases[i].Shape, "delora", 0, Error: error.Message);
                    if (Successor.IsNeeded(device)) (isLost, end) = (true, i + 1);
                }
                file.WriteLine(JsonSerializer.Serialize(result, Json));
                Console.WriteLine(Line(result));
                // A device that is lost waits for nothing.
                if (!isLost) device.Memory.Trim();
            }
        }
        if (end < cases.Length)
            _ = Successor.Run([
                "compare", "gpu", .. args.Where((word, i) => word != "--skip" && (i == 0 || args[i - 1] != "--skip")),
                "--skip", end.ToString(CultureInfo.InvariantCulture)]);
        return failed == 0 ? 0 : 1;
    }

    private static GpuResult Measure(GpuCase @case, Device device, double seconds)
    {
        using GpuWork work = GpuWork.Create(@case, device);
        device.Memory.ResetPeak();
        double milliseconds = work.Measure(work.Tokens > 0 ? 4 * seconds : seconds);
        double peak = work.Tokens > 0 ? device.Memory.Statistics.PeakBytesInUse / (double)(1 << 20) : 0;
        (double rate, string unit) = work.Tokens > 0 ? (work.Tokens / milliseconds * 1e3, "tokens/s") : RateOf(work.Work, milliseconds);
        return new(@case.Name + work.Remark, @case.Shape, "delora", milliseconds, rate, unit, peak);
    }

    /// <summary>Where a byte comes with more than 100 operations arithmetic is the limit of every card, else memory.</summary>
    private static (double Rate, string Unit) RateOf(Work work, double milliseconds) =>
        work.Flops > 100 * work.Bytes ? (work.Flops / milliseconds / 1e9, "TFLOP/s") : (work.Bytes / milliseconds / 1e6, "GB/s");

    internal static string Line(GpuResult result) => result.Error is { } error
        ? $"{result.Name,-44} {result.Shape,-26} failed: {error}"
        : string.Create(CultureInfo.InvariantCulture,
            $"{result.Name,-44} {result.Shape,-26}{result.Milliseconds,11:F3} ms{result.Rate,13:F1} {result.Unit,-9}"
            + $"{(result.PeakMiB > 0 ? $"{result.PeakMiB,9:F0} MiB" : "")}");
}
