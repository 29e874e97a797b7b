using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The dense update of a low-rank adapter, ΔW = B'A', and its addition to a weight (PEFT's <c>get_delta_weight</c> and <c>merge</c>). The
/// ranks of an element are added up in order in float32, on the CPU by fused multiply-adds: the result does not depend on vector width or
/// number of threads.
/// </summary>
[NoDerivative("merging happens outside training; inside it the low-rank product itself is differentiated")]
public static partial class DeltaWeightKernel
{
    private const string Op = "DeltaWeight";

    /// <summary>ΔW = B'A'.</summary>
    /// <param name="foldedA">A', [r, in].</param>
    /// <param name="foldedB">B', [out, r].</param>
    /// <param name="delta">Output [out, in].</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static void Forward(Tensor foldedA, Tensor foldedB, Tensor delta)
    {
        CheckShapes(foldedA, foldedB, delta);
        switch (Check.Floats(Op, foldedA, foldedB, delta))
        {
            case CpuDevice cpu: CpuDeltaWeight.Run(cpu, foldedA, foldedB, null, 1, delta); break;
            case GpuDevice gpu: GpuDeltaWeight.Forward(gpu, foldedA, foldedB, delta); break;
            case ReferenceDevice: ReferenceForward(foldedA, foldedB, delta); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>W += B'A', or W −= B'A'.</summary>
    /// <param name="foldedA">A', [r, in].</param>
    /// <param name="foldedB">B', [out, r].</param>
    /// <param name="weight">W, [out, in], changed in place.</param>
    /// <param name="negative">Whether the update is subtracted.</param>
    /// <exception cref="ShapeException">The shapes do not fit.</exception>
    public static void Add(Tensor foldedA, Tensor foldedB, Tensor weight, bool negative = false)
    {
        CheckShapes(foldedA, foldedB, weight);
        switch (Check.Floats(Op, foldedA, foldedB, weight))
        {
            case CpuDevice cpu: CpuDeltaWeight.Run(cpu, foldedA, foldedB, weight, negative ? -1 : 1, weight); break;
            case GpuDevice gpu: GpuDeltaWeight.Add(gpu, foldedA, foldedB, weight, negative); break;
            case ReferenceDevice: ReferenceAdd(foldedA, foldedB, weight, negative); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    private static void CheckShapes(Tensor foldedA, Tensor foldedB, Tensor weight)
    {
        Check.HasRank(Op, foldedA, 2);
        Check.HasRank(Op, foldedB, 2);
        Check.Shapes(
            foldedA.Shape[0] == foldedB.Shape[1],
            $"{Op}: ranks differ: A' {foldedA.Shape}, B' {foldedB.Shape} ({foldedA.Shape[0]} ≠ {foldedB.Shape[1]})");
        Check.HasShape(Op, weight, [foldedB.Shape[0], foldedA.Shape[1]]);
    }
}
