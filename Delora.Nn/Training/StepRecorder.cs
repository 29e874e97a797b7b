using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// Forward and backward passes of a training run on a CUDA card, recorded for each combination of input shapes and of how many targets count. The first
/// batch of a combination is computed as ever, the second is recorded and replayed, the following are replayed; what cannot be recorded is computed as
/// ever.
/// </summary>
internal sealed class StepRecorder : IDisposable
{
    // Each keeps the driver's copy of some thousand launches.
    private const int MostShapes = 64;

    // The first pass of a shape may make what all others find, for instance a table of angles.
    private const int MostAttempts = 3;

    private readonly GpuDevice _gpu;
    private readonly BlockPool _pool;
    private readonly Generator? _generator;
    private readonly Dictionary<string, Step> _steps = new(StringComparer.Ordinal);

    internal StepRecorder(GpuDevice gpu, Generator? generator)
    {
        (_gpu, _generator) = (gpu, generator);
        _pool = new BlockPool(gpu.Memory);
    }

    /// <summary>Passes that were replayed.</summary>
    internal long Replayed { get; private set; }

    /// <summary>Why steps are not recorded, one reason a shape.</summary>
    internal IEnumerable<string> Obstacles => _steps.Values.Select(step => step.Obstacle).OfType<string>().Distinct();

    /// <summary>Computes a batch.</summary>
    /// <param name="inputs">The batch.</param>
    /// <param name="pass">Forward and backward pass from tensors of the inputs.</param>
    internal void Run(IReadOnlyList<BatchInput> inputs, Action<IReadOnlyList<Tensor>> pass)
    {
        string key = string.Join(" ", inputs.Select(input => $"{input.Name}{input.Shape}:{input.Counted}"));
        if (!_steps.TryGetValue(key, out Step? step))
        {
            if (_steps.Count >= MostShapes)
            {
                using var scope = new TensorScope("batch");
                Tensor[] tensors = [.. inputs.Select(input => Tensor.FromIndices(input.Values, input.Shape, _gpu, input.Name))];
                Renting(() => pass(tensors));
                return;
            }
            _steps.Add(key, step = new Step(inputs, _gpu, new GpuGraph(_gpu, _pool, _generator)));
        }
        else
        {
            step.Take(inputs);
        }
        Run(step, () => pass(step.Inputs));
    }

    /// <summary>Forgets what is recorded, and gives its memory to others: the model may compute otherwise from now on.</summary>
    internal void Forget()
    {
        foreach (Step step in _steps.Values) step.Dispose();
        _steps.Clear();
        _pool.Dispose();
    }

    public void Dispose() => Forget();

    private void Run(Step step, Action work)
    {
        if (step.Graph.IsStale) step.Graph.Dispose();
        if (!step.Graph.IsRecorded && step.IsRehearsed && step.Attempts < MostAttempts)
        {
            step.Attempts++;
            // Kept here: the pass that is computed as ever forgets it.
            Renting(() => step.Refused = step.Graph.TryRecord(work) ? null : step.Graph.Obstacle);
        }
        if (step.Graph.IsRecorded && step.Graph.TryReplay())
        {
            Replayed++;
            return;
        }
        Renting(() => step.Graph.Rehearse(work));
        step.IsRehearsed = true;
    }

    /// <summary>Does something with memory of the pool.</summary>
    private void Renting(Action work)
    {
        BlockPool.Session session = _pool.Enter();
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
            foreach (Step step in _steps.Values) step.Graph.Dispose();
    }

    /// <summary>What is recorded for one combination of shapes.</summary>
    private sealed class Step : IDisposable
    {
        internal Step(IReadOnlyList<BatchInput> inputs, GpuDevice gpu, GpuGraph graph)
        {
            Graph = graph;
            var tensors = new List<Tensor>();
            try
            {
                foreach (BatchInput input in inputs) tensors.Add(Tensor.FromIndices(input.Values, input.Shape, gpu, input.Name).Own());
            }
            catch
            {
                foreach (Tensor tensor in tensors) tensor.Dispose();
                throw;
            }
            Inputs = tensors;
        }

        internal GpuGraph Graph { get; }

        internal IReadOnlyList<Tensor> Inputs { get; }

        internal bool IsRehearsed { get; set; }

        internal int Attempts { get; set; }

        /// <summary>Why the last attempt failed.</summary>
        internal string? Refused { get; set; }

        /// <summary>Why it is not recorded, as far as that is known.</summary>
        internal string? Obstacle => Graph.IsRecorded ? null : Graph.Obstacle ?? Refused;

        internal void Take(IReadOnlyList<BatchInput> inputs)
        {
            for (int i = 0; i < inputs.Count; i++) Inputs[i].SetIndices(inputs[i].Values);
        }

        public void Dispose()
        {
            Graph.Dispose();
            foreach (Tensor tensor in Inputs) tensor.Dispose();
        }
    }
}
