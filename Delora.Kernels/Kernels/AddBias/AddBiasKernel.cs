using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// A bias over the last dimension: y[…, j] = x[…, j] + b[j]. Backward: dx = dy, and db[j] = Σ dy[…, j] over all rows in a fixed order,
/// accumulated in
/// float64 (or a pair of float32 on GPUs without it).
/// </summary>
public static partial class AddBiasKernel
{
    private const string Op = "AddBias";

    /// <summary>y = x + b in every row.</summary>
    /// <param name="x">[…, dim].</param>
    /// <param name="bias">[dim].</param>
    /// <param name="y">Output, the shape of x; may be x itself.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static void Forward(Tensor x, Tensor bias, Tensor y)
    {
        Check.SameShape(Op, x, y);
        CheckBias(x, bias);
        switch (Check.Floats(Op, x, bias, y))
        {
            case CpuDevice cpu: CpuAddBias.Forward(cpu, x, bias, y); break;
            case GpuDevice gpu: GpuAddBias.Forward(gpu, x, bias, y); break;
            case ReferenceDevice: ReferenceForward(x, bias, y); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>db = the column sums of dy, or with <paramref name="accumulate"/> db += them.</summary>
    /// <param name="dy">[…, dim].</param>
    /// <param name="dBias">[dim].</param>
    /// <param name="accumulate">Adds to what dBias holds.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static void Backward(Tensor dy, Tensor dBias, bool accumulate = false)
    {
        CheckBias(dy, dBias);
        switch (Check.Floats(Op, dy, dBias))
        {
            case CpuDevice cpu: CpuAddBias.Backward(cpu, dy, dBias, accumulate); break;
            case GpuDevice gpu: GpuAddBias.Backward(gpu, dy, dBias, accumulate); break;
            case ReferenceDevice: ReferenceBackward(dy, dBias, accumulate); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    internal static void CheckBias(Tensor x, Tensor bias) =>
        Check.Shapes(x.Shape.Rank >= 1 && bias.Shape.Rank == 1 && x.Shape.Columns == bias.Shape.Columns,
            $"{Op}: the bias does not fit the last dimension: {x.Shape} + {bias.Shape}");
}
