using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// A weight matrix W [out, in] that does not change while it is used: the device keeps it in the layout its products like best, made once. An operand
/// of <see cref="FrozenLinearKernel"/> and <see cref="LowRankLinearKernel"/>. Immutable but for <see cref="Replace"/>; many threads may read it.
/// </summary>
public abstract class FrozenWeight : IDisposable
{
    private protected FrozenWeight(Device device, int @out, int @in)
    {
        Device = device;
        Out = @out;
        In = @in;
    }

    /// <summary>Where the weight lies.</summary>
    public Device Device { get; }

    /// <summary>Rows of W: output features.</summary>
    public int Out { get; }

    /// <summary>Columns of W: input features.</summary>
    public int In { get; }

    /// <summary>Bytes that the prepared weight occupies.</summary>
    public abstract long ByteLength { get; }

    /// <summary>Prepares a weight for its device. The tensor is copied and stays the caller's.</summary>
    /// <param name="weight">W [out, in], of the device's floating-point type.</param>
    /// <exception cref="ShapeException">The weight has not two dimensions.</exception>
    public static FrozenWeight Create(Tensor weight)
    {
        Check.HasRank(nameof(FrozenWeight), weight, 2);
        return Check.Floats(nameof(FrozenWeight), weight) switch
        {
            CpuDevice => new CpuFrozenWeight(weight),
            GpuDevice => new GpuFrozenWeight(weight),
            ReferenceDevice => new ReferenceFrozenWeight(weight),
            var other => throw Dispatch.Unknown(nameof(FrozenWeight), other),
        };
    }

    /// <summary>The weight as a new tensor [out, in], with exactly the bits that were given.</summary>
    public abstract Tensor ToTensor(string name = "weight");

    /// <summary>The norms of the columns, ‖W_:,j‖₂, as a new tensor [in] (<see cref="ColumnNormKernel"/>): DeLoRA's w.</summary>
    public Tensor ColumnNorms(string name = "column norms")
    {
        Tensor norms = Tensor.Empty([In], Device.FloatType, Device, name);
        try
        {
            ColumnNormsCore(norms);
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

    /// <summary>Overwrites the weight, for instance with the merged one. Nobody may be reading it.</summary>
    /// <param name="weight">[out, in].</param>
    /// <exception cref="ShapeException">The shape differs.</exception>
    public void Replace(Tensor weight)
    {
        Check.HasShape($"{nameof(FrozenWeight)}.{nameof(Replace)}", weight, [Out, In]);
        CheckDevice($"{nameof(FrozenWeight)}.{nameof(Replace)}", Check.Floats(nameof(FrozenWeight), weight), weight);
        ReplaceCore(weight);
    }

    /// <inheritdoc/>
    public abstract void Dispose();

    private protected abstract void ReplaceCore(Tensor weight);

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
