using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// Layer norm over the last dimension: y = x̂∘w + b with x̂ = (x − m)/σ, m = mean(x), σ = √(mean((x − m)²) + ε). Backward, with g = dy∘w:
/// dx = (g − mean(g) − x̂·mean(g∘x̂))/σ, and dw = Σ dy∘x̂ over all rows in a fixed order; db = Σ dy is
/// <see cref="AddBiasKernel.Backward"/>.
/// <para>
/// A mean far from zero costs no digits: deviations from an element of the row are added up in float64 (or a pair of float32 on GPUs
/// without it), and the mean is kept as the sum of two numbers. A constant row gives b, with ε = 0 NaN; NaN or infinity in a row gives NaN
/// in it.
/// </para>
/// </summary>
/// <remarks>Ba, Kiros, Hinton: "Layer Normalization", 2016; <c>torch.nn.LayerNorm</c>.</remarks>
public static partial class LayerNormKernel
{
    private const string Op = "LayerNorm";

    /// <summary>The shape of what the forward pass keeps: [3, rows].</summary>
    /// <param name="x">[.., dim].</param>
    /// <exception cref="ShapeException">x is a scalar.</exception>
    public static Shape StatisticsShape(Tensor x) => [3, checked((int)RowShape.Of(Op, x).ElementCount)];

    /// <summary>y = (x − m)/σ∘w + b in each row.</summary>
    /// <param name="x">[.., dim].</param>
    /// <param name="weight">w, [dim].</param>
    /// <param name="bias">b, [dim], or null.</param>
    /// <param name="y">Output, the shape of x; may be x itself.</param>
    /// <param name="statistics">
    /// Output [3, rows] for the backward pass: m̃, which is m rounded, (m̃ − m)/σ and 1/σ, so that x̂ = (x − m̃)/σ + (m̃ − m)/σ.
    /// </param>
    /// <param name="epsilon">ε ≥ 0.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException">ε is negative or not finite.</exception>
    public static void Forward(Tensor x, Tensor weight, Tensor? bias, Tensor y, Tensor statistics, double epsilon)
    {
        NormalizationCheck.Weight(Op, x, weight, "weight");
        if (bias is not null) NormalizationCheck.Weight(Op, x, bias, "bias");
        Check.SameShape(Op, x, y);
        Check.SameOrApart(Op, y, x);
        Check.HasShape(Op, statistics, StatisticsShape(x));
        NormalizationCheck.Epsilon(epsilon);
        switch (Check.Floats(Op, x, weight, bias, y, statistics))
        {
            case CpuDevice cpu: CpuLayerNorm.Forward(cpu, x, weight, bias, y, statistics, epsilon); break;
            case GpuDevice gpu: GpuLayerNorm.Forward(gpu, x, weight, bias, y, statistics, epsilon); break;
            case ReferenceDevice: ReferenceForward(x, weight, bias, y, statistics, epsilon); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>dx = (g − mean(g) − x̂·mean(g∘x̂))/σ with g = dy∘w, and dw = Σ dy∘x̂ over the rows, each where it is wanted.</summary>
    /// <param name="x">Input of the forward pass, [.., dim].</param>
    /// <param name="weight">w, [dim].</param>
    /// <param name="statistics">[3, rows], from the forward pass.</param>
    /// <param name="dy">Gradient of the output.</param>
    /// <param name="dx">Gradient of x, or null; may be dy itself where it does not accumulate.</param>
    /// <param name="dweight">Gradient of w, [dim], or null.</param>
    /// <param name="accumulate">Adds to what dx holds.</param>
    /// <param name="accumulateWeight">Adds to what dweight holds.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static void Backward(
        Tensor x, Tensor weight, Tensor statistics, Tensor dy, Tensor? dx, Tensor? dweight, bool accumulate = false,
        bool accumulateWeight = false)
    {
        NormalizationCheck.Backward(Op, x, weight, dy, dx, dweight);
        Check.HasShape(Op, statistics, StatisticsShape(x));
        switch (Check.Floats(Op, x, weight, statistics, dy, dx, dweight))
        {
            case CpuDevice cpu:
                CpuNormalization.Backward(
                    cpu, new CpuNormRows(statistics, centered: true), x, weight, dy, dx, dweight, accumulate, accumulateWeight);
                break;
            case GpuDevice gpu:
                GpuNormalization.Backward(gpu, statistics, centered: true, x, weight, dy, dx, dweight, accumulate, accumulateWeight);
                break;
            case ReferenceDevice:
                ReferenceBackward(x, weight, statistics, dy, dx, dweight, accumulate, accumulateWeight);
                break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }
}
