using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// Moves parameters against their gradients. The values and gradients of each group are gathered in a <see cref="ParameterArena"/>, so
/// that a step, the norm of the gradients and zeroing them are one pass each.
/// <code>
/// using (var tape = new Tape()) tape.Backward(model.Forward(x).CrossEntropy(labels));
/// optimizer.Step();
/// optimizer.ZeroGradients();    // without it the next pass adds to this one's gradients
/// </code>
/// </summary>
/// <remarks>
/// A parameter that no gradient reached has a gradient of zeros in its arena and takes part in the step (weight decay, momentum);
/// PyTorch leaves it out as long as its <c>grad</c> is None.
/// </remarks>
public abstract class Optimizer : IDisposable
{
    private readonly ParameterArena[] _arenas;
    private readonly Tensor[] _gradients;
    private readonly List<Tensor> _own = [];
    private readonly Tensor _norm, _scale;

    private protected Optimizer(IReadOnlyList<ParameterGroup> groups, double learningRate, double weightDecay)
    {
        if (groups.Count == 0) throw new ArgumentException("An optimizer needs at least one group of parameters.", nameof(groups));
        foreach (ParameterGroup group in groups) group.Validate();
        Groups = [.. groups];
        LearningRate = learningRate;
        WeightDecay = weightDecay;
        _arenas = Gather(Groups);
        _gradients = [.. _arenas.Select(arena => arena.Gradients)];
        _norm = Zeros([1], "gradient norm");
        _scale = Zeros([1], "clip scale");
    }

    /// <summary>The groups.</summary>
    public IReadOnlyList<ParameterGroup> Groups { get; }

    /// <summary>Learning rate of groups without one of their own.</summary>
    public double LearningRate { get; set; }

    /// <summary>Weight decay of groups without one of their own.</summary>
    public double WeightDecay { get; set; }

    /// <summary>What a schedule multiplies every group's learning rate with.</summary>
    public double LearningRateFactor { get; set; } = 1;

    /// <summary>Steps taken so far.</summary>
    public long StepCount { get; private set; }

    /// <summary>All gradients, one flat tensor a group.</summary>
    public IReadOnlyList<Tensor> Gradients => _gradients;

    /// <summary>Number of trained elements.</summary>
    public long ElementCount => Groups.Sum(group => group.Parameters.Sum(parameter => parameter.Value.ElementCount));

    /// <summary>
    /// The optimizer's own memory, by name (PyTorch's names, with the number of the group): what a checkpoint keeps beside
    /// <see cref="StepCount"/>. The
    /// tensors themselves, not copies.
    /// </summary>
    public abstract IEnumerable<(string Name, Tensor Tensor)> State { get; }

    /// <summary>The Euclidean norm over all gradients. Waits for the device. NaN or infinite where any gradient is.</summary>
    public double GradientNorm()
    {
        MeasureNorm();
        using var norm = new Readback(_norm);
        return norm.Values[0];
    }

    /// <summary>The norm that was measured last, [1].</summary>
    internal Tensor Norm => _norm;

    /// <summary>Measures the norm of the gradients. Nobody waits for it.</summary>
    internal void MeasureNorm() => GlobalNormKernel.Forward(_norm, _gradients);

    /// <summary>Takes one step with the accumulated gradients, which stay as they are. Nobody waits for the device.</summary>
    /// <param name="maxGradientNorm">Gradients are scaled down to this norm over all groups, as <c>clip_grad_norm_</c> does; 0 for no
    /// clipping.</param>
    /// <exception cref="ArgumentOutOfRangeException">A setting is outside of its range.</exception>
    /// <exception cref="InvalidOperationException">A parameter has been frozen.</exception>
    public void Step(double maxGradientNorm = 0)
    {
        CheckStep(maxGradientNorm);
        if (maxGradientNorm > 0) MeasureNorm();
        LaunchStep(maxGradientNorm);
        StepCount++;
    }

    /// <summary>Refuses a step before anything of it is launched.</summary>
    internal void CheckStep(double maxGradientNorm)
    {
        if (!(maxGradientNorm >= 0))
            throw new ArgumentOutOfRangeException(nameof(maxGradientNorm), maxGradientNorm, "The largest norm must be ≥ 0.");
        foreach ((string name, double value) in (ReadOnlySpan<(string, double)>)
            [(nameof(LearningRate), LearningRate), (nameof(LearningRateFactor), LearningRateFactor), (nameof(WeightDecay), WeightDecay)])
            Require(name, value);
        foreach (ParameterGroup group in Groups)
        {
            Require($"{nameof(LearningRate)} · {nameof(LearningRateFactor)}", RateOf(group));
            group.RequireGradients();
        }

        static void Require(string name, double value)
        {
            if (!Check.IsFactor(value))
                throw new ArgumentOutOfRangeException(name, value, $"The {name} must be ≥ 0 and finite as float32.");
        }
    }

    private double RateOf(ParameterGroup group) => (group.LearningRate ?? LearningRate) * LearningRateFactor;

    /// <summary>
    /// Asks the device for a step that <see cref="CheckStep"/> has seen, which clips by the norm that was measured last, and which the device leaves out
    /// where <paramref name="gate"/> [1] is not 0. Who asks counts the step (<see cref="Count"/>). Recorded, it asks for the rates again before each replay.
    /// </summary>
    internal void LaunchStep(double maxGradientNorm, Tensor? gate = null)
    {
        Tensor? scale = null;
        if (maxGradientNorm > 0)
        {
            ClipScaleKernel.Forward(_norm, (float)maxGradientNorm, _scale);
            scale = _scale;
        }
        for (int i = 0; i < _arenas.Length; i++)
        {
            ParameterGroup group = Groups[i];
            StepGroup(i, _arenas[i], scale, () => new StepRates(RateOf(group), group.WeightDecay ?? WeightDecay, StepCount + 1), gate);
        }
    }

    /// <summary>Says how many steps have been taken: one more behind <see cref="LaunchStep"/>, less where the device has left some out.</summary>
    internal void Count(long steps) => StepCount = steps;

    /// <summary>Forgets all accumulated gradients.</summary>
    public void ZeroGradients()
    {
        foreach (ParameterArena arena in _arenas) arena.ZeroGradients();
    }

    /// <summary>Continues where another run stopped. Everything is checked before anything changes.</summary>
    /// <param name="state">A tensor for every name of <see cref="State"/>, no others, of the same shapes.</param>
    /// <param name="stepCount">Steps that had been taken.</param>
    /// <param name="source">The file that errors name.</param>
    /// <exception cref="DeloraFormatException">A tensor is missing, not known here, or of another shape.</exception>
    public void LoadState(IReadOnlyDictionary<string, Tensor> state, long stepCount, string source = "optimizer state")
    {
        if (stepCount < 0) throw new DeloraFormatException(source, "step", $"must not be negative, but is {stepCount}.");
        var own = State.ToDictionary(entry => entry.Name, entry => entry.Tensor);
        foreach ((string name, Tensor tensor) in own)
        {
            if (!state.TryGetValue(name, out Tensor? saved)) throw new DeloraFormatException(source, name, $"{tensor.Shape} is missing.");
            if (saved.Shape != tensor.Shape)
                throw new DeloraFormatException(source, name, $"is {saved.Shape}; this optimizer needs {tensor.Shape}.");
            if (saved.DType is not (DType.Float32 or DType.Float64))
                throw new DeloraFormatException(source, name, $"is {saved.DType.Name}; a state is float32 or float64.");
        }
        if (state.Keys.FirstOrDefault(name => !own.ContainsKey(name)) is { } unknown)
            throw new DeloraFormatException(source, unknown, $"is not part of the state of {GetType().Name} with {Groups.Count} groups.");
        foreach ((string name, Tensor tensor) in own) tensor.CopyFrom(state[name]);
        StepCount = stepCount;
    }

    /// <summary>Frees the optimizer's memory; the parameters get values of their own again.</summary>
    public void Dispose()
    {
        foreach (Tensor tensor in _own) tensor.Dispose();
        foreach (ParameterArena arena in _arenas) arena.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>One line for each parameter whose gradient is not finite.</summary>
    internal IEnumerable<string> NonFiniteGradients() => NonFinite(parameter => parameter.Gradient!);

    /// <summary>
    /// Refuses parameters that a step has made NaN or infinite. Loss and gradients are looked at before each step; what the last one made, nobody has seen.
    /// Waits for the device.
    /// </summary>
    /// <param name="step">The step that was last.</param>
    /// <exception cref="NonFiniteException">One is; the first are named.</exception>
    internal void RequireFiniteParameters(int step)
    {
        using Tensor count = Tensor.Empty([1], DType.Int32, _gradients[0].Device, "non-finite elements");
        NonFiniteKernel.Forward(count, [.. _arenas.Select(arena => arena.Values)]);
        if (count.ToArray<int>()[0] > 0)
            throw new NonFiniteException(
                $"After step {step} parameters are NaN or infinite: {string.Join(", ", NonFinite(parameter => parameter.Value).Take(5))}.");
    }

    private IEnumerable<string> NonFinite(Func<Parameter, Tensor> of)
    {
        using Tensor count = Tensor.Empty([1], DType.Int32, _gradients[0].Device, "non-finite elements");
        foreach (Parameter parameter in Groups.SelectMany(group => group.Parameters))
        {
            NonFiniteKernel.Forward(count, of(parameter));
            int elements = count.ToArray<int>()[0];
            if (elements > 0) yield return $"'{parameter.Name}' {parameter.Shape} ({elements} of {parameter.Value.ElementCount} elements)";
        }
    }

    /// <summary>One step of one group.</summary>
    private protected abstract void StepGroup(int index, ParameterArena arena, Tensor? scale, Func<StepRates> current, Tensor? gate);

    /// <summary>What changes from one step to the next.</summary>
    private protected readonly record struct StepRates(double LearningRate, double WeightDecay, long Step);

    /// <summary>A tensor of zeros as long as each arena.</summary>
    private protected Tensor[] ZerosLikeArenas(string name) => [.. _arenas.Select(arena => Zeros(arena.Values.Shape, name))];

    /// <summary>Memory of the optimizer. Where there is none left, the parameters go back to what they were.</summary>
    private Tensor Zeros(Shape shape, string name)
    {
        try
        {
            Device device = _gradients[0].Device;
            Tensor tensor = Tensor.Zeros(shape, device.FloatType, device, name).Own();
            _own.Add(tensor);
            return tensor;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    private static ParameterArena[] Gather(IReadOnlyList<ParameterGroup> groups)
    {
        var arenas = new List<ParameterArena>();
        try
        {
            foreach (ParameterGroup group in groups)
            {
                arenas.Add(new ParameterArena(group.Parameters));
                Check.OneDevice(nameof(Optimizer), arenas[0].Values, arenas[^1].Values);
            }
        }
        catch
        {
            // Whatever was wrong with a later group, the parameters of the earlier ones go back to what they were.
            foreach (ParameterArena arena in arenas) arena.Dispose();
            throw;
        }
        return [.. arenas];
    }
}
