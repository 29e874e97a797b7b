using System.Runtime.InteropServices;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Numbers of a batch that a loss is computed from, as they come to the device.</summary>
/// <param name="Name">What they are.</param>
/// <param name="Values">The integers, row-major.</param>
/// <param name="Shape">Their shape.</param>
/// <param name="Counted">
/// How many of them count, where what is launched depends on it: of targets, for instance. Counts that only change values need not be told.
/// </param>
public sealed record BatchInput(string Name, int[] Values, Shape Shape, int Counted = 0)
{
    /// <summary>float32 numbers instead, of the same shape, such as the targets of a regression.</summary>
    public BatchInput(string name, float[] numbers, Shape shape) : this(name, MemoryMarshal.Cast<float, int>(numbers).ToArray(), shape) =>
        DType = DType.Float32;

    /// <summary>What <see cref="Values"/> are: int32, or the bits of float32.</summary>
    public DType DType { get; } = DType.Int32;

    /// <summary>The numbers on a device; integers are known to the host too.</summary>
    internal Tensor On(Device device) => DType == DType.Int32
        ? Tensor.FromIndices(Values, Shape, device, Name)
        : Tensor.From(MemoryMarshal.Cast<int, float>(Values), Shape, device, Name);
}

/// <summary>
/// A loss in two parts, so that a <see cref="Trainer{TBatch}"/> can record a training step on a CUDA card as a graph and replay it with the next batch: what
/// comes from the host, and what the device computes from it.
/// </summary>
/// <typeparam name="TBatch">What the loss is computed from.</typeparam>
/// <param name="Inputs">The numbers of a batch. A pass is recorded for each combination of their shapes and of how many count.</param>
/// <param name="Loss">
/// The mean loss, from tensors of the inputs. What it asks of the device may depend on nothing else that changes between two steps, other than parameters
/// and random numbers of <paramref name="Generator"/>.
/// </param>
/// <param name="Generator">Where dropout takes its masks from; null where there is none.</param>
public sealed record RecordableLoss<TBatch>(
    Func<TBatch, IReadOnlyList<BatchInput>> Inputs, Func<IReadOnlyList<Tensor>, Tensor> Loss, Generator? Generator = null);
