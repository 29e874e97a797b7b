using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// A weight matrix W [out, in] that does not change while it is used: the device keeps it in the layout its products like best, made once. An operand
/// of <see cref="FrozenLinearKernel"/> and <see cref="LowRankLinearKernel"/>. Immutable but for <see cref="Replace"/>; many threads may read it.
/// </summary>
/// <remarks>
/// In a storage that rounds, W̃ is what all products compute with, in both directions, so that gradients towards x go through W̃ (QLoRA). W itself is gone, but
/// for the norms of its columns and how far W̃ is from it.
/// </remarks>
public abstract class FrozenWeight : IDisposable
{
    private Tensor? _norms;

    private protected FrozenWeight(Device device, int @out, int @in, FrozenStorage storage, FrozenDirections directions)
    {
        (Device, Out, In, Storage, Directions) = (device, @out, @in, storage, directions);
    }

    /// <summary>Where the weight lies.</summary>
    public Device Device { get; }

    /// <summary>Rows of W: output features.</summary>
    public int Out { get; }

    /// <summary>Columns of W: input features.</summary>
    public int In { get; }

    /// <summary>How the numbers are kept.</summary>
    public FrozenStorage Storage { get; }

    /// <summary>Which layouts are kept.</summary>
    public FrozenDirections Directions { get; }

    /// <summary>How far what is kept is from the weight that was given.</summary>
    public WeightError Error { get; private set; }

    /// <summary>Bytes that the prepared weight occupies: codes, scales, layouts, and the norms of the columns where they are kept.</summary>
    public virtual long ByteLength => _norms?.ByteLength ?? 0;

    /// <summary>Prepares a weight for its device. The tensor is copied and stays the caller's.</summary>
    /// <param name="weight">W [out, in], of the device's floating-point type.</param>
    /// <param name="storage">How to keep it.</param>
    /// <param name="directions">Which layouts to keep.</param>
    /// <exception cref="ShapeException">The weight has not two dimensions.</exception>
    /// <exception cref="ArgumentException">
    /// <see cref="FrozenStorage.AsStored"/>, which only a file knows; or both directions on a device or for a storage that keeps one.
    /// </exception>
    /// <exception cref="NonFiniteException">
    /// The storage cannot keep a number: NaN or infinity where numbers share a scale, or a finite one beyond a 16-bit type's range.
    /// </exception>
    public static FrozenWeight Create(
        Tensor weight, FrozenStorage storage = FrozenStorage.Float32, FrozenDirections directions = FrozenDirections.One)
    {
        Check.HasRank(nameof(FrozenWeight), weight, 2);
        Device device = Check.Floats(nameof(FrozenWeight), weight);
        if (storage == FrozenStorage.AsStored || !Enum.IsDefined(storage))
            throw new ArgumentException($"A weight cannot be kept as '{storage}': the storage of a file is known where it is read.", nameof(storage));
        if (directions != FrozenDirections.One && (storage.IsQuantized || device is not CpuDevice))
            throw new ArgumentException($"{storage.Name} on {device.Name} keeps one layout: {directions} is not to be had.", nameof(directions));
        return device switch
        {
            CpuDevice => new CpuFrozenWeight(weight, storage, directions),
            GpuDevice => new GpuFrozenWeight(weight, storage),
            ReferenceDevice => new ReferenceFrozenWeight(weight, storage),
            var other => throw Dispatch.Unknown(nameof(FrozenWeight), other),
        };
    }

    /// <summary>The weight as a new tensor [out, in]: W̃, which in float32 has exactly the bits that were given.</summary>
    public abstract Tensor ToTensor(string name = "weight");

    /// <summary>
    /// The norms of the columns, ‖W_:,j‖₂, as a new tensor [in] (<see cref="ColumnNormKernel"/>): DeLoRA's w. Of the weight that was given, before it was
    /// rounded.
    /// </summary>
    public Tensor ColumnNorms(string name = "column norms")
    {
        Tensor norms = Tensor.Empty([In], Device.FloatType, Device, name);
        try
        {
            if (_norms is not null) norms.CopyFrom(_norms);
            else ColumnNormsCore(norms);
        }
        catch
        {
            norms.Dispose();
            throw;
        }
        return norms;
    }

    /// <summary>Rows of the weight by their number, y[i] = W[ids[i]]: the lookup of an embedding that is tied to this weight.</summary>
    /// <param name="ids">int32 [..].</param>
    /// <param name="y">Output, [.., in].</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="IndexException">An id is negative, or not below out.</exception>
    public void Rows(Tensor ids, Tensor y)
    {
        string op = $"{nameof(FrozenWeight)}.{nameof(Rows)}";
        Check.HasShape(op, y, new Shape([.. ids.Shape.Dims, In]));
        Check.OneDevice(op, ids, y);
        CheckDevice(op, Check.Floats(op, y), y);
        IndexCheck.Count(op, ids, Out);
        RowsCore(ids, y);
    }

    /// <summary>Overwrites the weight, for instance with the merged one, in the same storage. Nobody may be reading it.</summary>
    /// <param name="weight">[out, in].</param>
    /// <exception cref="ShapeException">The shape differs.</exception>
    /// <exception cref="NonFiniteException">The storage cannot keep a number; the weight is not to be used before another has replaced it.</exception>
    public void Replace(Tensor weight)
    {
        Check.HasShape($"{nameof(FrozenWeight)}.{nameof(Replace)}", weight, [Out, In]);
        CheckDevice($"{nameof(FrozenWeight)}.{nameof(Replace)}", Check.Floats(nameof(FrozenWeight), weight), weight);
        SetWeight(weight);
    }

    /// <inheritdoc/>
    public virtual void Dispose()
    {
        _norms?.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Writes the weight, and keeps what is known of it alone: its distance, and where there is one the norms of its columns.</summary>
    private protected void SetWeight(Tensor weight)
    {
        Error = WriteCore(weight);
        _norms?.Dispose();
        _norms = null;
        if (Device.IsPlanning ? !MayRound(weight) : Error.Largest == 0) return;
        Tensor norms = Tensor.Empty([In], Device.FloatType, Device, "column norms").Own();
        try
        {
            ColumnNormKernel.Forward(weight, norms);
        }
        catch
        {
            norms.Dispose();
            throw;
        }
        _norms = norms;
    }

    /// <summary>What a plan takes for granted: numbers that a file has in more bits are rounded.</summary>
    private bool MayRound(Tensor weight) => Storage switch
    {
        FrozenStorage.Float32 => false,
        FrozenStorage.BFloat16 => weight.TypeInFile != DType.BFloat16,
        FrozenStorage.Float16 => weight.TypeInFile != DType.Float16,
        _ => true,
    };

    private protected abstract WeightError WriteCore(Tensor weight);

    private protected abstract void RowsCore(Tensor ids, Tensor y);

    private protected virtual void ColumnNormsCore(Tensor norms)
    {
        using Tensor weight = ToTensor();
        ColumnNormKernel.Forward(weight, norms);
    }

    private void CheckDevice(string op, Device device, Tensor tensor)
    {
        if (device != Device)
            throw new DeviceException($"{op}: the weight lies on {Device.Name}, '{tensor.Name}' {tensor.Shape} on {device.Name}");
    }
}
