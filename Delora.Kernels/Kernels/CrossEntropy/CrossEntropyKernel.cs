using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Cross-entropy of logits with class labels, over the last dimension. Per row i with label t: z_i = log Σ_j e^(x_ij), loss_i = z_i −
/// x_it. The mean is over the rows whose label is not <c>ignoreIndex</c>: loss = (1/count) Σ loss_i. Backward: dx_ij = (e^(x_ij − z_i) −
/// [j = t]) · dloss/count; rows that are ignored get 0. z is computed as max + log Σ e^(x − max), so that large logits do not overflow.
/// <para>As <c>torch.nn.functional.cross_entropy</c>, except that a label out of range and labels that are all ignored are errors.</para>
/// </summary>
public static partial class CrossEntropyKernel
{
    private const string Op = "CrossEntropy";

    /// <summary>The label that marks a row as ignored unless another is given; the value that Hugging Face and torch use.</summary>
    public const int IgnoreIndex = -100;

    /// <summary>loss = (1/count) Σ_i loss_i over the rows that are not ignored.</summary>
    /// <param name="logits">[.., classes].</param>
    /// <param name="labels">int32 [..]: a class, or <paramref name="ignoreIndex"/>.</param>
    /// <param name="loss">Output, [].</param>
    /// <param name="logSumExp">Output, [..]: z, which the backward pass needs; 0 in ignored rows.</param>
    /// <param name="ignoreIndex">The label of rows that do not count.</param>
    /// <returns>The count of rows that are not ignored, at least 1.</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="IndexException">A label is neither a class nor <paramref name="ignoreIndex"/>, or all are ignored (or there are
    /// none).</exception>
    public static int Forward(Tensor logits, Tensor labels, Tensor loss, Tensor logSumExp, int ignoreIndex = IgnoreIndex)
    {
        Check.HasShape(Op, loss, []);
        Device device = Check.Floats(Op, logits, loss);
        using Tensor losses = Tensor.Empty(RowShape.Of(Op, logits), device.FloatType, device, "losses of the rows");
        int count = ForwardRows(logits, labels, losses, logSumExp, ignoreIndex);
        if (count == 0) throw NothingCounts(Op, labels, ignoreIndex);
        Mean(losses, loss, CountedRows.Of(labels, count, ignoreIndex));
        return count;
    }

    /// <summary>dx_ij = (e^(x_ij − z_i) − [j = t]) · dloss/count.</summary>
    /// <param name="logits">Input of the forward pass, [.., classes].</param>
    /// <param name="labels">int32 [..].</param>
    /// <param name="logSumExp">z of the forward pass, [..].</param>
    /// <param name="dloss">Gradient of the loss, [].</param>
    /// <param name="dlogits">Gradient of the logits; may be the logits themselves.</param>
    /// <param name="count">What the forward pass returned.</param>
    /// <param name="ignoreIndex">As in the forward pass.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The count is not positive.</exception>
    public static void Backward(
        Tensor logits, Tensor labels, Tensor logSumExp, Tensor dloss, Tensor dlogits, int count, int ignoreIndex = IgnoreIndex)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        Check.HasShape(Op, dloss, []);
        Backward(logits, labels, logSumExp, dloss, dlogits, 0, CountedRows.Of(labels, count, ignoreIndex), ignoreIndex);
    }

    /// <summary>loss_i = z_i − x_it in each row, 0 where it is ignored.</summary>
    /// <param name="logits">[.., classes].</param>
    /// <param name="labels">int32 [..]: a class, or <paramref name="ignoreIndex"/>.</param>
    /// <param name="losses">Output, [..].</param>
    /// <param name="logSumExp">Output, [..]: z; 0 in ignored rows.</param>
    /// <param name="ignoreIndex">The label of rows that do not count.</param>
    /// <returns>The count of rows that are not ignored; may be 0.</returns>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="IndexException">A label is neither a class nor <paramref name="ignoreIndex"/>.</exception>
    public static int ForwardRows(Tensor logits, Tensor labels, Tensor losses, Tensor logSumExp, int ignoreIndex = IgnoreIndex)
    {
        Shape rows = RowShape.Of(Op, logits);
        Check.HasShape(Op, labels, rows);
        Check.HasShape(Op, losses, rows);
        Check.HasShape(Op, logSumExp, rows);
        Check.OneDevice(Op, logits, labels);
        Device device = Check.Floats(Op, logits, losses, logSumExp);
        // The count itself changes no launch; that there is nothing to count is an error of its own.
        int count = IndexCheck.Count(Op, labels, logits.Shape.Columns, ignoreIndex, used => used > 0 ? 1 : 0);
        switch (device)
        {
            case CpuDevice cpu: CpuCrossEntropy.Forward(cpu, logits, labels, losses, logSumExp, ignoreIndex); break;
            case GpuDevice gpu: GpuCrossEntropy.Forward(gpu, logits, labels, losses, logSumExp, ignoreIndex); break;
            case ReferenceDevice: ReferenceForward(logits, labels, losses, logSumExp, ignoreIndex); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
        return count;
    }

    /// <summary>dx_ij = (e^(x_ij − z_i) − [j = t]) · dloss_i, 0 in ignored rows.</summary>
    /// <param name="logits">Input of the forward pass, [.., classes].</param>
    /// <param name="labels">int32 [..].</param>
    /// <param name="logSumExp">z of the forward pass, [..].</param>
    /// <param name="dlosses">Gradient of the losses, [..].</param>
    /// <param name="dlogits">Gradient of the logits; may be the logits themselves.</param>
    /// <param name="ignoreIndex">As in the forward pass.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static void BackwardRows(
        Tensor logits, Tensor labels, Tensor logSumExp, Tensor dlosses, Tensor dlogits, int ignoreIndex = IgnoreIndex)
    {
        Check.HasShape(Op, dlosses, RowShape.Of(Op, logits));
        Backward(logits, labels, logSumExp, dlosses, dlogits, 1, null, ignoreIndex);
    }

    /// <summary>loss = (1/count) Σ losses.</summary>
    internal static void Mean(Tensor losses, Tensor loss, CountedRows rows)
    {
        switch (losses.Device)
        {
            case CpuDevice cpu: CpuSum.Forward(cpu, losses, loss, 1, losses.ElementCount, 1.0 / rows.Count); break;
            case GpuDevice gpu: GpuCrossEntropy.Mean(gpu, losses, loss, rows); break;
            default: ReferenceMean(losses, loss, rows.Count); break;
        }
    }

    internal static IndexException NothingCounts(string op, Tensor labels, int ignoreIndex) =>
        new($"{op}: all {labels.ElementCount} labels {labels.Shape} are {ignoreIndex} (ignored): a mean over no rows");

    /// <summary>The gradient of row i is element i · <paramref name="stride"/> of dloss, over <paramref name="mean"/>'s count where there is one.</summary>
    private static void Backward(
        Tensor logits, Tensor labels, Tensor logSumExp, Tensor dloss, Tensor dlogits, int stride, CountedRows? mean, int ignoreIndex)
    {
        Shape rows = RowShape.Of(Op, logits);
        Check.HasShape(Op, labels, rows);
        Check.HasDType(Op, labels, DType.Int32);
        Check.HasShape(Op, logSumExp, rows);
        Check.SameShape(Op, logits, dlogits);
        Check.OneDevice(Op, logits, labels);
        Device device = Check.Floats(Op, logits, logSumExp, dloss, dlogits);
        double scale = mean is null ? 1 : 1.0 / mean.Value.Count;
        switch (device)
        {
            case CpuDevice cpu:
                CpuCrossEntropy.Backward(cpu, logits, labels, logSumExp, dloss, dlogits, stride, (float)scale, ignoreIndex);
                break;
            case GpuDevice gpu:
                GpuCrossEntropy.Backward(gpu, logits, labels, logSumExp, dloss, dlogits, stride, mean, ignoreIndex);
                break;
            case ReferenceDevice:
                ReferenceBackward(logits, labels, logSumExp, dloss, dlogits, stride, scale, ignoreIndex);
                break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
