using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>Parameters that are trained alike.</summary>
/// <param name="Parameters">At least one.</param>
public sealed record ParameterGroup(IReadOnlyList<Parameter> Parameters)
{
    /// <summary>Learning rate of the group; the optimizer's where it is null.</summary>
    public double? LearningRate { get; init; }

    /// <summary>Weight decay of the group; the optimizer's where it is null.</summary>
    public double? WeightDecay { get; init; }
}

/// <summary>
/// Moves parameters against their gradients. The values and gradients of each group are gathered in a <see cref="ParameterArena"/>, so that a step, the
/// norm of the gradients and zeroing them are one pass each.
/// </summary>
public abstract class Optimizer : IDisposable
{
    private readonly ParameterArena[] _arenas;
    private readonly Tensor[] _gradients;
    private readonly Tensor _norm, _scale;

    private protected Optimizer(IReadOnlyList<ParameterGroup> groups, double learningRate, double weightDecay)
    {
        if (groups.Count == 0) throw new ArgumentException("An optimizer needs at least one group of parameters.", nameof(groups));
        Groups = [.. groups];
        LearningRate = learningRate;
        WeightDecay = weightDecay;
        _arenas = [.. groups.Select(group => new ParameterArena(group.Parameters))];
        _gradients = [.. _arenas.Select(arena => arena.Gradients)];
        Device device = Check.OneDevice(GetType().Name, _gradients);
        _norm = Tensor.Zeros([1], device.FloatType, device, "gradient norm").Own();
        _scale = Tensor.Zeros([1], device.FloatType, device, "clip scale").Own();
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

    /// <summary>The Euclidean norm over all gradients. Waits for the device. NaN or infinite where any gradient is.</summary>
    public double GradientNorm()
    {
        GlobalNormKernel.Forward(_norm, _gradients);
        return _norm.ToScalar();
    }

    /// <summary>Takes one step with the accumulated gradients, which stay as they are.</summary>
    /// <param name="maxGradientNorm">Gradients are scaled down to this norm over all groups, as <c>clip_grad_norm_</c> does; 0 for no clipping.</param>
    public void Step(double maxGradientNorm = 0)
    {
        Tensor? scale = null;
        if (maxGradientNorm > 0)
        {
            GlobalNormKernel.Forward(_norm, _gradients);
            ClipScaleKernel.Forward(_norm, (float)maxGradientNorm, _scale);
            scale = _scale;
        }
        else
        {
            ArgumentOutOfRangeException.ThrowIfNegative(maxGradientNorm);
        }
        long step = StepCount + 1;
        for (int i = 0; i < _arenas.Length; i++)
        {
            ParameterGroup group = Groups[i];
            StepGroup(i, _arenas[i], scale, (group.LearningRate ?? LearningRate) * LearningRateFactor, group.WeightDecay ?? WeightDecay, step);
        }
        StepCount = step;
    }

    /// <summary>Forgets all accumulated gradients.</summary>
    public void ZeroGradients()
    {
        foreach (ParameterArena arena in _arenas) arena.ZeroGradients();
    }

    /// <summary>The optimizer's own memory, by name: what a checkpoint keeps beside <see cref="StepCount"/>. The tensors themselves, not copies.</summary>
    public abstract IEnumerable<(string Name, Tensor Tensor)> State { get; }

    /// <summary>Continues where another run stopped: the tensors of <see cref="State"/> have been filled, and so many steps been taken.</summary>
    public void Resume(long stepCount)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(stepCount);
        StepCount = stepCount;
    }

    /// <summary>Frees the optimizer's memory; the parameters get values of their own again.</summary>
    public void Dispose()
    {
        DisposeState();
        foreach (ParameterArena arena in _arenas) arena.Dispose();
        _norm.Dispose();
        _scale.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>One step of one group.</summary>
    private protected abstract void StepGroup(int index, ParameterArena arena, Tensor? scale, double learningRate, double weightDecay, long step);

    private protected abstract void DisposeState();

    /// <summary>A tensor of zeros as long as each arena.</summary>
    private protected Tensor[] ZerosLikeArenas(string name) =>
        [.. _arenas.Select(arena => Tensor.Zeros(arena.Values.Shape, arena.Values.DType, arena.Values.Device, name).Own())];
}
