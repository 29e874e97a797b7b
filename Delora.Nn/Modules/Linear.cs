using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// Linear layer, y = x Wᵀ + b: x [.., in], W [out, in], b [out], y [.., out]. While it is frozen its weight is a <see cref="FrozenWeight"/>, prepared
/// once for fast products, and adapters can be attached (<see cref="Adapters"/>).
/// <para>
/// GPT-2's <c>Conv1D</c> is this layer with its weight stored the other way round, [in, out] (<see cref="FromTransposed"/>): its state and, while it can
/// be trained, its parameter are as the files have them; frozen it is like every other, so that adapters, merging and exporting need not know.
/// </para>
/// </summary>
public sealed partial class Linear : Module, ITensorModule
{
    private Parameter? _weight, _bias;

    /// <summary>A layer with PyTorch's default initialization: weight and bias uniform in ±1/√in.</summary>
    public Linear(int @in, int @out, Device device, Generator generator, bool bias = true)
        : this(Initialization.KaimingUniform([@out, @in], device, generator, "weight"),
              bias ? Initialization.Uniform([@out], 1 / Math.Sqrt(Math.Max(@in, 1)), device, generator, "bias") : null)
    {
    }

    /// <summary>A layer over given tensors, which it takes over.</summary>
    /// <param name="weight">W [out, in]</param>
    /// <param name="bias">b [out]; null for none.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="DTypeException">One is not of the device's floating-point type.</exception>
    /// <exception cref="DeviceException">They lie on different devices.</exception>
    public Linear(Tensor weight, Tensor? bias = null) : this(weight, bias, isTransposed: false)
    {
    }

    private Linear(Tensor weight, Tensor? bias, bool isTransposed)
    {
        Check.HasRank(nameof(Linear), weight, 2);
        IsTransposed = isTransposed;
        (In, Out) = isTransposed ? (weight.Shape[0], weight.Shape[1]) : (weight.Shape[1], weight.Shape[0]);
        if (bias is not null) Check.HasShape(nameof(Linear), bias, [Out]);
        // Both, before either is taken over.
        Check.Floats(nameof(Linear), weight, bias);
        _weight = new Parameter("weight", weight);
        _bias = bias is null ? null : new Parameter("bias", bias);
        Adapters = new LinearAdapters(this);
    }

    /// <summary>A layer over given tensors, which it takes over, the weight being stored transposed: transformers' <c>Conv1D</c>.</summary>
    /// <param name="weight">Wᵀ [in, out]</param>
    /// <param name="bias">b [out]; null for none.</param>
    /// <inheritdoc cref="Linear(Tensor, Tensor?)" path="/exception"/>
    public static Linear FromTransposed(Tensor weight, Tensor? bias = null) => new(weight, bias, isTransposed: true);

    /// <summary>Whether the state and the trainable parameter hold the weight transposed, [in, out].</summary>
    public bool IsTransposed { get; }

    /// <summary>Input features.</summary>
    public int In { get; }

    /// <summary>Output features.</summary>
    public int Out { get; }

    /// <summary>The weight while it can be trained, [out, in] or, where it is stored transposed, [in, out]; null while the layer is frozen.</summary>
    public Parameter? Weight => _apart ?? _weight;

    /// <summary>The prepared weight while the layer is frozen; null while it can be trained.</summary>
    public FrozenWeight? FrozenWeight { get; private set; }

    /// <summary>The bias; null where there is none.</summary>
    public Parameter? Bias => _bias;

    /// <summary>Low-rank adapters on this layer.</summary>
    public LinearAdapters Adapters { get; }

    /// <summary>Where the layer lies.</summary>
    public Device Device => FrozenWeight?.Device ?? _weight!.Value.Device;

    /// <summary>
    /// Whether freezing leaves the weight a parameter, because copies are exchanged for it (PEFT's <c>modules_to_save</c>); such a layer
    /// takes no adapters.
    /// </summary>
    internal bool KeepsParameters { get; set; }

    /// <summary>How the weight is kept from the next freezing on.</summary>
    internal (FrozenStorage Storage, FrozenDirections Directions) Keeping { get; private set; }

    /// <summary>The weight as files have it.</summary>
    internal ModuleState WeightState => new(IsTransposed ? [In, Out] : [Out, In], CopyStored, WriteStored);

    /// <summary>y = x Wᵀ + b, plus the branches of the active adapters.</summary>
    /// <param name="x">[.., in]</param>
    /// <returns>[.., out]</returns>
    /// <exception cref="ShapeException">The last dimension of x is not <see cref="In"/>.</exception>
    public Tensor Forward(Tensor x) => Forward(x, ActivationKind.None);

    /// <summary>y = f(x Wᵀ + b, plus the branches of the active adapters) + residual, in the product itself where one product makes all of z.</summary>
    /// <param name="x">[.., in]</param>
    /// <param name="activation">f.</param>
    /// <param name="residual">[.., out]; null for none.</param>
    /// <returns>[.., out]</returns>
    /// <exception cref="ShapeException">The last dimension of x is not <see cref="In"/>, or the residual does not have the shape of y.</exception>
    public Tensor Forward(Tensor x, ActivationKind activation, Tensor? residual = null)
    {
        if (x.Shape.Rank == 0 || x.Shape.Columns != In)
            throw new ShapeException($"Linear: inner dimensions differ: x {x.Shape}, weight [{Out}, {In}] ({(x.Shape.Rank == 0 ? "scalar" : x.Shape.Columns)} ≠ {In})");
        Tensor? bias = _bias?.Value;
        return FrozenWeight is not null && _apart is null
            ? Adapters.Forward(x, FrozenWeight, bias, activation, residual)
            : x.Linear(Weight!, bias, activation, residual, IsTransposed);
    }

    /// <summary>
    /// The mean cross-entropy of the layer's outputs as logits. Where neither a bias nor an adapter acts, they are made a block at a time and
    /// never all at once; see <see cref="LinearCrossEntropyKernel"/>.
    /// </summary>
    /// <param name="x">[.., in]</param>
    /// <param name="labels">int32 [..]: a class, or −100 where the row does not count.</param>
    /// <returns>The loss, a scalar [].</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="IndexException">A label is no class, or none counts.</exception>
    public Tensor CrossEntropy(Tensor x, Tensor labels)
    {
        if (_bias is not null) return Forward(x).CrossEntropy(labels);
        if (FrozenWeight is null || _apart is not null)
            return IsTransposed ? Forward(x).CrossEntropy(labels) : x.LinearCrossEntropy(Weight!.Value, labels);
        return Adapters.AreIdle() ? x.LinearCrossEntropy(FrozenWeight, labels) : Forward(x).CrossEntropy(labels);
    }

    /// <summary>A copy of the weight [out, in], whichever way it is kept. The caller disposes it.</summary>
    public Tensor CopyWeight(string name = "weight") =>
        FrozenWeight is not null ? FrozenWeight.ToTensor(name)
        : IsTransposed ? Transposition.Of(_weight!.Value, name)
        : Tensor.CopyOf(_weight!.Value, Device, name);

    /// <summary>
    /// Chooses how the weight is kept while it is frozen. One that is frozen already is changed, from float32 alone: nothing is rounded twice.
    /// </summary>
    /// <exception cref="InvalidOperationException">It is kept in another storage, or adapters are merged into it.</exception>
    /// <exception cref="NonFiniteException">The storage cannot keep a number; the weight is as it was.</exception>
    internal void Keep(FrozenStorage storage, FrozenDirections directions)
    {
        if (FrozenWeight is { } frozen && (frozen.Storage, frozen.Directions) != (storage, directions))
        {
            if (frozen.Storage != storage && frozen.Storage != FrozenStorage.Float32)
                throw new InvalidOperationException(
                    $"The weight [{Out}, {In}] is kept as {frozen.Storage.Name}, and cannot become {storage.Name}: it would be rounded twice.");
            if (Adapters.Merged.Concat(Table?.Adapters.Merged ?? []).ToArray() is { Length: > 0 } merged)
                throw new InvalidOperationException($"{string.Join(", ", merged)} is merged into the weight [{Out}, {In}]; unmerge first.");
            using Tensor weight = frozen.ToTensor();
            Exchange(FrozenWeight.Create(weight, storage, directions)).Dispose();
        }
        Keeping = (storage, directions);
    }

    /// <summary>Computes with another prepared weight from now on.</summary>
    /// <returns>The one before, which is the caller's.</returns>
    internal FrozenWeight Exchange(FrozenWeight weight)
    {
        FrozenWeight before = FrozenWeight!;
        FrozenWeight = weight;
        return before;
    }

    /// <summary>Makes the weight trainable again: what was kept of it, in the device's floating-point type.</summary>
    /// <exception cref="InvalidOperationException">Adapters are attached.</exception>
    public void Unfreeze()
    {
        if (FrozenWeight is null) return;
        if (Adapters.Names.Any() || Table?.Adapters.Names.Any() == true)
            throw new InvalidOperationException("A layer with adapters stays frozen; delete the adapters first.");
        _weight = new Parameter("weight", CopyStored());
        if (_bias is not null) _bias.RequiresGradient = true;
        FrozenWeight.Dispose();
        FrozenWeight = null;
    }

    /// <inheritdoc/>
    public override IEnumerable<(string Name, Parameter Parameter)> OwnParameters()
    {
        if (IsListed && Weight is { } weight) yield return ("weight", weight);
        if (_bias is not null) yield return ("bias", _bias);
    }

    /// <inheritdoc/>
    public override IEnumerable<(string Name, ModuleState State)> OwnState()
    {
        if (IsListed) yield return ("weight", _apart is null ? WeightState : ModuleState.Of(_apart));
        if (_bias is not null) yield return ("bias", ModuleState.Of(_bias));
    }

    /// <inheritdoc/>
    public override Parameter ExchangeParameter(string name, Parameter replacement) => name switch
    {
        "weight" when _weight is not null && !IsTied => Exchange(ref _weight!, replacement),
        "bias" when _bias is not null => Exchange(ref _bias!, replacement),
        _ => base.ExchangeParameter(name, replacement),
    };

    /// <inheritdoc/>
    protected override void FreezeOwn()
    {
        base.FreezeOwn();
        if (_weight is null || KeepsParameters) return;
        _weight.RequiresGradient = false;
        if (IsTransposed)
        {
            using Tensor turned = CopyWeight();
            FrozenWeight = FrozenWeight.Create(turned, Keeping.Storage, Keeping.Directions);
        }
        else
        {
            FrozenWeight = FrozenWeight.Create(_weight.Value, Keeping.Storage, Keeping.Directions);
        }
        _weight.Dispose();
        _weight = null;
    }

    /// <inheritdoc/>
    protected override void DisposeOwn()
    {
        base.DisposeOwn();
        FrozenWeight?.Dispose();
        Adapters.Dispose();
    }

    /// <summary>A copy of the weight as files have it.</summary>
    private Tensor CopyStored()
    {
        if (!IsTransposed) return CopyWeight();
        if (FrozenWeight is null) return Tensor.CopyOf(_weight!.Value, Device, "weight");
        using Tensor weight = FrozenWeight.ToTensor();
        return Transposition.Of(weight, "weight");
    }

    private void WriteStored(Tensor weight)
    {
        if (FrozenWeight is null)
        {
            _weight!.Value.CopyFrom(weight);
            return;
        }
        using Tensor? turned = IsTransposed ? Transposition.Of(weight, "weight") : null;
        FrozenWeight.Replace(turned ?? weight);
    }
}
