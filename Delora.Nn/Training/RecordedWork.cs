using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// Work of a training run on a CUDA card that comes again and again: done as ever the first time, recorded and replayed the second, then replayed. What
/// cannot be recorded is done as ever.
/// </summary>
internal sealed class RecordedWork(GpuGraph graph) : IDisposable
{
    // The first pass of a shape may make what all others find, for instance a table of angles.
    private const int MostAttempts = 3;

    private bool _isRehearsed;
    private int _attempts;
    private string? _refused;

    /// <summary>What the work gets from the host, as it is now: the batch.</summary>
    internal IReadOnlyList<BatchInput> Inputs { get; set; } = [];

    /// <summary>When it came last.</summary>
    internal long LastUse { get; set; }

    internal bool IsRecorded => graph.IsRecorded;

    /// <summary>Why it is not recorded, as far as that is known.</summary>
    internal string? Obstacle => graph.IsRecorded ? null : graph.Obstacle ?? _refused;

    /// <summary>Why it is launched one by one from now on; null where it is not.</summary>
    internal string? Final => !graph.IsRecorded && _attempts == MostAttempts ? Obstacle
        : graph.IsForOtherWork ? "a batch needs other launches than the one of the same shapes that was recorded" : null;

    /// <summary>Does it.</summary>
    /// <param name="work">The work.</param>
    /// <param name="renting">Does something with the memory of recordings.</param>
    /// <returns>Whether it was replayed.</returns>
    internal bool Run(Action work, Action<Action> renting)
    {
        if (graph.IsStale) graph.Dispose();
        if (!graph.IsRecorded && _isRehearsed && _attempts < MostAttempts)
        {
            // Refusals alone count, not recordings that have gone stale. The reason is kept here: the work that is done as ever forgets it.
            renting(() =>
            {
                if (graph.TryRecord(work)) (_attempts, _refused) = (0, null);
                else (_attempts, _refused) = (_attempts + 1, graph.Obstacle);
            });
        }
        if (graph.IsRecorded && graph.TryReplay()) return true;
        renting(() => graph.Rehearse(work));
        _isRehearsed = true;
        return false;
    }

    /// <summary>Forgets the recording; the work is recorded anew when it comes again.</summary>
    internal void Forget()
    {
        graph.Dispose();
        _attempts = 0;
    }

    public void Dispose() => graph.Dispose();
}
