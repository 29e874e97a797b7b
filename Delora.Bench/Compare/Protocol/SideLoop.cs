using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Delora.Bench.Compare;

/// <summary>One side's work on one case.</summary>
internal interface ICompareWork : IDisposable
{
    /// <summary>Computes once.</summary>
    void Run();

    /// <summary>Samples of every result of a fresh case, by name.</summary>
    Dictionary<string, double[]> Results();
}

/// <summary>
/// What either process does: commands on the standard input, one answer for each on the standard output.
/// <code>
/// case TEXT    makes the case ready                      → ok
/// results      computes it once, samples what came out   → JSON
/// time N       computes it N times                       → seconds
/// settle       gives garbage back, forgets the peak      → ok
/// memory       peak resident memory since                → bytes
/// </code>
/// An error is answered by a line that starts with <c>error</c>.
/// </summary>
internal static class SideLoop
{
    internal static int Run(Func<CompareCase, ICompareWork> prepare, Func<string, string>? more = null)
    {
        ICompareWork? work = null;
        while (Console.ReadLine() is { } line)
        {
            string[] words = line.Split(' ', 2);
            try
            {
                switch (words[0])
                {
                    case "case":
                        work?.Dispose();
                        work = null;
                        work = prepare(CompareCase.Parse(words[1]));
                        Console.WriteLine("ok");
                        break;
                    case "results":
                        Console.WriteLine(JsonSerializer.Serialize(work!.Results()));
                        break;
                    case "time":
                        int count = int.Parse(words[1], CultureInfo.InvariantCulture);
                        long start = Stopwatch.GetTimestamp();
                        for (int i = 0; i < count; i++) work!.Run();
                        Console.WriteLine(Stopwatch.GetElapsedTime(start).TotalSeconds.ToString("R", CultureInfo.InvariantCulture));
                        break;
                    case "settle":
                        Settle();
                        Console.WriteLine("ok");
                        break;
                    case "memory":
                        Console.WriteLine(Process.GetCurrentProcess().PeakWorkingSet64.ToString(CultureInfo.InvariantCulture));
                        break;
                    default:
                        Console.WriteLine(more?.Invoke(line) ?? throw new InvalidOperationException($"unknown command '{line}'"));
                        break;
                }
            }
            catch (Exception error)
            {
                Console.WriteLine($"error {error.GetType().Name}: {error.Message.ReplaceLineEndings(" ")}");
            }
        }
        work?.Dispose();
        return 0;
    }

    /// <summary>What making the inputs took is no part of what running takes. Linux forgets a process's peak when 5 is written to this file.</summary>
    private static void Settle()
    {
        const string Forget = "/proc/self/clear_refs";
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        if (File.Exists(Forget)) File.WriteAllText(Forget, "5");
    }
}
