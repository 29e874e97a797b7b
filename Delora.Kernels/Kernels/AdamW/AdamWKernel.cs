using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// One step of AdamW (Loshchilov and Hutter 2019) over a flat buffer in one pass, in the order of operations of <c>torch.optim.AdamW</c>;
/// t counts steps from 1, c is the scale of the gradient (clipping), g' = c·g:
/// <code>
/// p ← p · (1 − lr·weight_decay)
/// m ← β₁ m + (1 − β₁) g'
/// v ← β₂ v + (1 − β₂) g'²
/// p ← p − lr/(1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + eps)
/// </code>
/// </summary>
[NoDerivative("an optimizer step is not differentiated through")]
public static partial class AdamWKernel
{
    private const string Op = "AdamW";

    /// <summary>One step, in place.</summary>
    /// <param name="p">Parameters, any shape.</param>
    /// <param name="g">Gradients, the shape of p.</param>
    /// <param name="m">First moments, the shape of p; zeros before the first step.</param>
    /// <param name="v">Second moments, the shape of p; zeros before the first step.</param>
    /// <param name="scale">Factor of the gradient on the device, [1] (<see cref="ClipScaleKernel"/>); null for 1.</param>
    /// <param name="settings">Learning rate and the rest.</param>
    /// <param name="step">Number of this step, from 1.</param>
    /// <param name="gate">On the device, [1]: where it is not 0, NaN included, everything stays as it is; null for 0.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A setting or the step is outside of its range.</exception>
    public static void Step(Tensor p, Tensor g, Tensor m, Tensor v, Tensor? scale, in AdamWSettings settings, long step, Tensor? gate = null)
    {
        AdamWSettings given = settings;
        Step(p, g, m, v, scale, () => (given, step), gate);
    }

    /// <summary>The same with settings and number of the step that recorded work (<see cref="GpuGraph"/>) asks for again before each replay.</summary>
    internal static void Step(
        Tensor p, Tensor g, Tensor m, Tensor v, Tensor? scale, Func<(AdamWSettings Settings, long Step)> current, Tensor? gate)
    {
        (AdamWSettings settings, long step) = current();
        settings.Validate();
        ArgumentOutOfRangeException.ThrowIfLessThan(step, 1);
        Check.SameShape(Op, p, g);
        Check.SameShape(Op, p, m);
        Check.SameShape(Op, p, v);
        if (scale is not null) Check.HasShape(Op, scale, [1]);
        if (gate is not null) Check.HasShape(Op, gate, [1]);
        switch (Check.Floats(Op, p, g, m, v, scale, gate))
        {
            case CpuDevice or ReferenceDevice when gate is not null && gate.ToScalar() != 0: break;
            case CpuDevice cpu: CpuAdamW.Step(cpu, p, g, m, v, scale, new AdamWFactors(settings, step)); break;
            case GpuDevice gpu: GpuAdamW.Step(gpu, p, g, m, v, scale, gate, Factors); break;
            case ReferenceDevice: ReferenceStep(p, g, m, v, scale, settings, step); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }

        AdamWFactors Factors()
        {
            (AdamWSettings now, long number) = current();
            now.Validate();
            return new AdamWFactors(now, number);
        }
    }
}
