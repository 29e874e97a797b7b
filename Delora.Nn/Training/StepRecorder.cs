using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// The steps of a training run on a CUDA card, recorded and replayed (<see cref="RecordedWork"/>): forward and backward pass for each combination of input
/// shapes and of how many count, and the optimizer's step. The recordings used last are kept; their temporaries share one pool of memory.
/// </summary>
/// <param name="gpu">A CUDA device.</param>
/// <param name="generator">Where passes take random numbers from; null where they take none.</param>
/// <param name="note">Hears once why something is launched one by one.</param>
internal sealed class StepRecorder(GpuDevice gpu, Generator? generator, Action<string>? note = null) : IDisposable
{
    /// <summary>Recordings that are kept: of each the driver has a copy of some thousand launches.</summary>
    internal const int MostRecorded = 32;

    // Combinations that are remembered, recorded or not.
    private const int MostKnown = 512;

    private readonly Dictionary<string, RecordedWork> _works = new(StringComparer.Ordinal);
    private BlockPool? _pool;
    private int _most = MostRecorded;
    private long _time;
    private bool _noted;

    /// <summary>Passes that were replayed.</summary>
    internal long Replayed { get; private set; }

    /// <summary>Optimizer steps that were replayed.</summary>
    internal long ReplayedSteps { get; private set; }

    /// <summary>Recordings that can be replayed.</summary>
    internal int Recorded => _works.Values.Count(work => work.IsRecorded);

    /// <summary>Why something is not recorded.</summary>
    internal IEnumerable<string> Obstacles => _works.Values.Select(work => work.Obstacle).OfType<string>().Distinct();

    private BlockPool Pool => _pool ??= new BlockPool(gpu.Memory) { Shortage = Relieve };

    /// <summary>Computes a batch.</summary>
    /// <param name="inputs">The batch.</param>
    /// <param name="pass">Forward and backward pass from tensors of the inputs.</param>
    internal void Run(IReadOnlyList<BatchInput> inputs, Action<IReadOnlyList<Tensor>> pass)
    {
        RecordedWork work = Find($"pass {string.Join(" ", inputs.Select(input => $"{input.Name} {input.DType.Name}{input.Shape}:{input.Counted}"))}", generator);
        work.Inputs = inputs;
        bool replayed = Run(work, () =>
        {
            using var scope = new TensorScope("batch");
            pass([.. inputs.Select((input, i) => GpuGraph.Derived(() => work.Inputs[i].Values, input.Shape, gpu, input.Name, input.DType))]);
        });
        if (replayed) Replayed++;
    }

    /// <summary>Does what belongs to a step and takes nothing of a batch.</summary>
    /// <param name="name">Names what is launched: the same name, the same launches.</param>
    /// <param name="step">The work. What changes from one step to the next is fed.</param>
    internal void Step(string name, Action step)
    {
        if (Run(Find(name, null), step)) ReplayedSteps++;
    }

    /// <summary>Forgets what is recorded, and gives its memory to others: the model may compute otherwise from now on.</summary>
    internal void Forget()
    {
        foreach (RecordedWork work in _works.Values) work.Dispose();
        _works.Clear();
        _pool?.Dispose();
    }

    public void Dispose() => Forget();

    private RecordedWork Find(string key, Generator? random)
    {
        if (!_works.TryGetValue(key, out RecordedWork? work))
        {
            if (_works.Count >= MostKnown) Drop(_works.Where(entry => !entry.Value.IsRecorded));
            _works.Add(key, work = new RecordedWork(new GpuGraph(gpu, Pool, random)));
        }
        work.LastUse = ++_time;
        return work;
    }

    private bool Run(RecordedWork work, Action action)
    {
        bool was = work.IsRecorded, replayed = work.Run(action, Renting);
        if (!was && work.IsRecorded && Recorded > _most)
        {
            Drop(_works.Where(entry => entry.Value.IsRecorded));
            Pool.Trim();
        }
        if (!_noted && work.Final is { } reason)
        {
            _noted = true;
            note?.Invoke($"not all of a step is replayed as a CUDA graph; launched one by one, with the same numbers, because: {reason}");
        }
        return replayed;
    }

    /// <summary>Forgets the one that was used longest ago.</summary>
    private void Drop(IEnumerable<KeyValuePair<string, RecordedWork>> among)
    {
        (string key, RecordedWork oldest) = among.MinBy(entry => entry.Value.LastUse);
        oldest.Dispose();
        _works.Remove(key);
    }

    /// <summary>The card has no more memory for a pass: recordings give up theirs, and from then on fewer are kept.</summary>
    private void Relieve()
    {
        _most = Math.Max(2, Recorded / 2);
        // It waits for the device, which is no fault of the pass that is rehearsed.
        GpuGraph.Aside("recordings give way to it", () =>
        {
            foreach (RecordedWork work in _works.Values) work.Forget();
        });
        Pool.Trim();
    }

    /// <summary>Does something with memory of the pool.</summary>
    private void Renting(Action work)
    {
        BlockPool.Session session = Pool.Enter();
        int kept;
        try
        {
            work();
        }
        finally
        {
            kept = session.End();
        }
        // Something that stays was put where recordings write.
        if (kept > 0)
            foreach (RecordedWork recorded in _works.Values) recorded.Forget();
    }
}
