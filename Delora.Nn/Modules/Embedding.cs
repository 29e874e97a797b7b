using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// Table of vectors: ids [..] int32 → [.., dim], weight [vocabulary, dim]. Adapters can be attached while it is frozen (<see cref="Adapters"/>).
/// </summary>
public sealed partial class Embedding : Module, ITensorModule
{
    private Linear? _tied;
    private Parameter? _weight, _apart;

    /// <summary>A table with PyTorch's default initialization, standard normal, or with the given standard deviation.</summary>
    public Embedding(int vocabulary, int dim, Device device, Generator generator, double standardDeviation = 1)
        : this(Initialization.Normal([vocabulary, dim], standardDeviation, device, generator, "weight"))
    {
    }

    /// <summary>A table over a given tensor [vocabulary, dim], which it takes over.</summary>
    public Embedding(Tensor weight)
    {
        Check.HasRank(nameof(Embedding), weight, 2);
        _weight = new Parameter("weight", weight);
        Adapters = new LinearAdapters(this);
    }

    /// <summary>
    /// A table that is the weight of a linear layer (tied embeddings). The weight belongs to this module's parameters and state from now
    /// on, so that a model lists it once and under the table's name; the layer keeps it, prepared for products while it is frozen.
    /// </summary>
    /// <param name="tied">The output layer, weight [vocabulary, dim], without adapters.</param>
    /// <exception cref="ArgumentException">The layer stores its weight transposed: it would be no table.</exception>
    public Embedding(Linear tied)
    {
        if (tied.IsTransposed) throw new ArgumentException("A weight that is stored transposed, [in, out], is no table [vocabulary, dim].", nameof(tied));
        tied.Table = this;
        _tied = tied;
        Adapters = new LinearAdapters(this);
    }

    /// <summary>Whether the table is the weight of a linear layer as well.</summary>
    internal bool IsTied => _tied is not null;

    /// <summary>The layer whose weight the table is; null where it is its own.</summary>
    internal Linear? Tied => _tied;

    /// <summary>The table [vocabulary, dim]; null where it is tied to a layer that is frozen.</summary>
    public Parameter? Weight => _apart ?? (_tied is null ? _weight : _tied.Shared);

    /// <summary>Where the table lies.</summary>
    public Device Device => _tied?.Device ?? _weight!.Value.Device;

    /// <summary>The rows of the given ids, plus the branches of the active adapters.</summary>
    /// <param name="x">ids, int32, any shape.</param>
    /// <returns>[.., dim]</returns>
    /// <exception cref="IndexException">An id is not in the vocabulary.</exception>
    public Tensor Forward(Tensor x) => Adapters.Forward(x, Rows(x));

    /// <inheritdoc/>
    public override IEnumerable<(string Name, Parameter Parameter)> OwnParameters() => Weight is { } weight ? [("weight", weight)] : [];

    /// <inheritdoc/>
    public override IEnumerable<(string Name, ModuleState State)> OwnState() => [("weight", State)];

    /// <inheritdoc/>
    public override Parameter ExchangeParameter(string name, Parameter replacement) =>
        name == "weight" && _weight is not null ? Exchange(ref _weight!, replacement) : base.ExchangeParameter(name, replacement);

    /// <inheritdoc/>
    protected override void DisposeOwn()
    {
        base.DisposeOwn();
        Adapters.Dispose();
    }

    private Tensor Rows(Tensor x)
    {
        if (_apart is not null || _tied?.FrozenWeight is not { } frozen) return Functions.Embedding(Weight!, x);
        Tensor y = Tensor.Empty(new Shape([.. x.Shape.Dims, frozen.In]), frozen.Device.FloatType, frozen.Device, nameof(Embedding));
        try
        {
            frozen.Rows(x, y);
        }
        catch
        {
            y.Dispose();
            throw;
        }
        return y;
    }
}
