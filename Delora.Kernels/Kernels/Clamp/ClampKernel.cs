using Delora.Core;

namespace Delora.Kernels;

/// <summary>The range that <see cref="ClampKernel"/> puts numbers into.</summary>
/// <param name="Min">The least; may be −∞.</param>
/// <param name="Max">The largest, at least <paramref name="Min"/>; may be ∞.</param>
public readonly record struct ClampRange(double Min, double Max);

/// <summary>
/// Small tensors put into ranges of their own, in place: x ← min(max(x, Min), Max); NaN stays. Where Min is Max they are set to it. A training step does so
/// to DeLoRA's λ, of all layers in few launches.
/// </summary>
[NoDerivative("it puts parameters back into their ranges behind a step")]
public static partial class ClampKernel
{
    private const string Op = "Clamp";

    /// <summary>x ← min(max(x, Min), Max) for each tensor.</summary>
    /// <param name="tensors">Any shapes, on one device; small ones, a GPU takes a thread an element and eight tensors a launch.</param>
    /// <param name="ranges">As many ranges. On devices of float32 they are rounded to it.</param>
    /// <param name="gate">On the device, [1]: where it is not 0, NaN included, everything stays as it is; null for 0.</param>
    /// <exception cref="ArgumentException">There are more or less ranges than tensors, or one is empty or NaN.</exception>
    /// <exception cref="ShapeException">The gate is not [1].</exception>
    public static void Forward(IReadOnlyList<Tensor> tensors, IReadOnlyList<ClampRange> ranges, Tensor? gate = null) =>
        Forward(tensors, () => ranges, gate);

    /// <summary>The same with ranges that recorded work (<see cref="GpuGraph"/>) asks for again before each replay.</summary>
    internal static void Forward(IReadOnlyList<Tensor> tensors, Func<IReadOnlyList<ClampRange>> current, Tensor? gate)
    {
        IReadOnlyList<ClampRange> ranges = current();
        if (tensors.Count != ranges.Count) throw new ArgumentException($"{Op}: {tensors.Count} tensors, and {ranges.Count} ranges", nameof(current));
        foreach (ClampRange range in ranges)
            if (!(range.Min <= range.Max)) throw new ArgumentException($"{Op}: there is nothing from {range.Min} to {range.Max}", nameof(current));
        if (tensors.Count == 0) return;
        if (gate is not null) Check.HasShape(Op, gate, [1]);
        Device device = Check.Floats(Op, tensors[0], gate);
        foreach (Tensor tensor in tensors) Check.Floats(Op, tensors[0], tensor);
        switch (device)
        {
            case CpuDevice or ReferenceDevice when gate is not null && gate.ToScalar() != 0: break;
            case CpuDevice: CpuClamp.Forward(tensors, ranges); break;
            case GpuDevice gpu: GpuClamp.Forward(gpu, tensors, current, gate); break;
            case ReferenceDevice: ReferenceForward(tensors, ranges); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }
    }

    /// <summary>The formula in float32, for the CPU and for GPU kernels; NaN fails both comparisons and passes.</summary>
    internal static float Clamp(float x, float min, float max) => x < min ? min : x > max ? max : x;
}
