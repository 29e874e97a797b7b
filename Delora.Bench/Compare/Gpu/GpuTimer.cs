using System.Diagnostics;
using Delora.Core;

namespace Delora.Bench.Compare.Gpu;

/// <summary>
/// Times work that a device does on its own: runs are queued one behind the other and waited for together, as events around them would measure,
/// so that neither a launch nor a wait is part of the figure where the work is longer than its launch.
/// </summary>
internal static class GpuTimer
{
    internal const int MaxRounds = 11, MinRounds = 3, MaxQueued = 200;

    /// <summary>The median milliseconds of a run, in about <paramref name="seconds"/> of measuring after the first runs.</summary>
    internal static double Median(Action run, Device device, double seconds)
    {
        Queue(1);
        double once = Math.Max(Queue(1), 1e-7);
        int count = (int)Math.Clamp(seconds / MaxRounds / once, 1, MaxQueued);
        if (once < seconds / 4) Queue(count);
        var rounds = new List<double>();
        long start = Stopwatch.GetTimestamp();
        while (rounds.Count < MinRounds || rounds.Count < MaxRounds && Stopwatch.GetElapsedTime(start).TotalSeconds < seconds)
            rounds.Add(Queue(count) / count * 1e3);
        return LayerRun.Median([.. rounds]);

        double Queue(int runs)
        {
            device.Synchronize();
            long begin = Stopwatch.GetTimestamp();
            for (int i = 0; i < runs; i++) run();
            device.Synchronize();
            return Stopwatch.GetElapsedTime(begin).TotalSeconds;
        }
    }
}
