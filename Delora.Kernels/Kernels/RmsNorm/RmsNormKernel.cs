using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Root mean square norm over the last dimension: y = x̂∘w with x̂ = x·r, r = 1/√(mean(x²) + ε). Backward, with g = dy∘w:
/// dx = r·(g − x̂·mean(g∘x̂)), and dw = Σ dy∘x̂ over all rows in a fixed order.
/// <para>
/// Squares are added up in float64, where none is too large (on GPUs without it in a pair of float32). A row of zeros gives zeros, with
/// ε = 0 NaN. NaN makes all of its row NaN; infinity becomes NaN, and the rest of its row 0. The mean over nothing counts as 0.
/// </para>
/// </summary>
/// <remarks>Zhang, Sennrich: "Root Mean Square Layer Normalization", 2019, equation 4; <c>torch.nn.RMSNorm</c>.</remarks>
public static partial class RmsNormKernel
{
    private const string Op = "RmsNorm";

    /// <summary>y = x∘w/√(mean(x²) + ε) in each row.</summary>
    /// <param name="x">[.., dim].</param>
    /// <param name="weight">w, [dim].</param>
    /// <param name="y">Output, the shape of x; may be x itself.</param>
    /// <param name="inverseRms">Output r, [..], for the backward pass.</param>
    /// <param name="epsilon">ε ≥ 0.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException">ε is negative or not finite.</exception>
    public static void Forward(Tensor x, Tensor weight, Tensor y, Tensor inverseRms, double epsilon)
    {
        NormalizationCheck.Weight(Op, x, weight, "weight");
        Check.SameShape(Op, x, y);
        Check.SameOrApart(Op, y, x);
        Check.HasShape(Op, inverseRms, RowShape.Of(Op, x));
        NormalizationCheck.Epsilon(epsilon);
        switch (Check.Floats(Op, x, weight, y, inverseRms))
        {
            case CpuDevice cpu: CpuRmsNorm.Forward(cpu, x, weight, y, inverseRms, epsilon); break;
            case GpuDevice gpu: GpuRmsNorm.Forward(gpu, x, weight, y, inverseRms, epsilon); break;
            case ReferenceDevice: ReferenceForward(x, weight, y, inverseRms, epsilon); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>dx = r·(g − x̂·mean(g∘x̂)) with g = dy∘w, and dw = Σ dy∘x̂ over the rows, each where it is wanted.</summary>
    /// <param name="x">Input of the forward pass, [.., dim].</param>
    /// <param name="weight">w, [dim].</param>
    /// <param name="inverseRms">r, [..], from the forward pass.</param>
    /// <param name="dy">Gradient of the output.</param>
    /// <param name="dx">Gradient of x, or null; may be dy itself where it does not accumulate.</param>
    /// <param name="dweight">Gradient of w, [dim], or null.</param>
    /// <param name="accumulate">Adds to what dx holds.</param>
    /// <param name="accumulateWeight">Adds to what dweight holds.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static void Backward(
        Tensor x, Tensor weight, Tensor inverseRms, Tensor dy, Tensor? dx, Tensor? dweight, bool accumulate = false,
        bool accumulateWeight = false)
    {
        NormalizationCheck.Backward(Op, x, weight, dy, dx, dweight);
        Check.HasShape(Op, inverseRms, RowShape.Of(Op, x));
        switch (Check.Floats(Op, x, weight, inverseRms, dy, dx, dweight))
        {
            case CpuDevice cpu:
                CpuNormalization.Backward(
                    cpu, new CpuNormRows(inverseRms, centered: false), x, weight, dy, dx, dweight, accumulate, accumulateWeight);
                break;
            case GpuDevice gpu:
                GpuNormalization.Backward(gpu, inverseRms, centered: false, x, weight, dy, dx, dweight, accumulate, accumulateWeight);
                break;
            case ReferenceDevice:
                ReferenceBackward(x, weight, inverseRms, dy, dx, dweight, accumulate, accumulateWeight);
                break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
