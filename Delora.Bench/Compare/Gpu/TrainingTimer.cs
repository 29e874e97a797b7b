using System.Diagnostics;
using Delora.Core;
using Delora.Nn;

namespace Delora.Bench.Compare.Gpu;

/// <summary>
/// Times the steps of a <see cref="Trainer{TBatch}"/>'s run in rounds and ends the run. Within a round the trainer goes on as ever: the numbers of a step
/// are looked at while the next is under way.
/// </summary>
internal sealed class TrainingTimer : ITrainerCallback, IDisposable
{
    // A shape is computed as ever at first; then its graph is recorded, within at most three attempts.
    private const int WarmUp = 6;

    private readonly Device _device;
    private readonly double _seconds;
    private readonly CancellationTokenSource _end = new();
    private readonly List<double> _rounds = [];
    private int _next = WarmUp, _count;
    private long _begin, _start;

    /// <param name="device">Where the steps are computed.</param>
    /// <param name="seconds">How long to measure, about.</param>
    internal TrainingTimer(Device device, double seconds) => (_device, _seconds) = (device, seconds);

    /// <summary>Trains until enough has been measured.</summary>
    /// <returns>The median milliseconds of a step.</returns>
    internal double Median<TBatch>(Trainer<TBatch> trainer, TBatch batch, bool useGraph)
    {
        trainer.Callbacks.Add(this);
        try
        {
            trainer.Run(_ => batch, new TrainerOptions { Steps = int.MaxValue, UseCudaGraph = useGraph }, cancellation: _end.Token);
        }
        catch (OperationCanceledException) when (_end.IsCancellationRequested)
        {
            // Enough has been measured.
        }
        finally
        {
            trainer.Callbacks.Remove(this);
        }
        return LayerRun.Median([.. _rounds]);
    }

    public bool MustFollow(int step, int totalSteps) => step == _next;

    public void OnStep(in TrainingProgress progress)
    {
        if (progress.Step != _next) return;
        _device.Synchronize();
        double elapsed = _begin == 0 ? 0 : Stopwatch.GetElapsedTime(_begin).TotalSeconds;
        if (_count > 0) _rounds.Add(elapsed / _count * 1e3);
        else if (_begin != 0)
            (_count, _start) = ((int)Math.Clamp(_seconds / GpuTimer.MaxRounds / Math.Max(elapsed, 1e-7), 1, GpuTimer.MaxQueued), Stopwatch.GetTimestamp());
        bool enough = _rounds.Count >= GpuTimer.MaxRounds
            || _rounds.Count >= GpuTimer.MinRounds && Stopwatch.GetElapsedTime(_start).TotalSeconds >= _seconds;
        if (enough) _end.Cancel();
        _next += Math.Max(_count, 1);
        _begin = Stopwatch.GetTimestamp();
    }

    public void Dispose() => _end.Dispose();
}
