using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// One step of stochastic gradient descent with momentum over a flat buffer in one pass, with the meaning of <c>torch.optim.SGD</c>
/// (dampening 0); c is the scale of the gradient (clipping):
/// <code>
/// d ← c·g + weight_decay·p
/// b ← d at the first step, momentum·b + d afterwards
/// p ← p − lr·(d + momentum·b with Nesterov, b with momentum, d without)
/// </code>
/// </summary>
[NoDerivative("an optimizer step is not differentiated through")]
public static partial class SgdKernel
{
    private const string Op = "Sgd";

    /// <summary>One step, in place.</summary>
    /// <param name="p">Parameters, any shape.</param>
    /// <param name="g">Gradients, the shape of p.</param>
    /// <param name="buffer">Momentum buffer, the shape of p; null exactly where the momentum is 0.</param>
    /// <param name="scale">Factor of the gradient on the device, [1] (<see cref="ClipScaleKernel"/>); null for 1.</param>
    /// <param name="settings">Learning rate and the rest.</param>
    /// <param name="step">Number of this step, from 1; the first one does not read the buffer.</param>
    /// <param name="gate">On the device, [1]: where it is not 0, NaN included, everything stays as it is; null for 0.</param>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A setting or the step is outside of its range.</exception>
    /// <exception cref="ArgumentException">There is a buffer without momentum, or momentum without a buffer.</exception>
    public static void Step(Tensor p, Tensor g, Tensor? buffer, Tensor? scale, in SgdSettings settings, long step, Tensor? gate = null)
    {
        SgdSettings given = settings;
        Step(p, g, buffer, scale, () => (given, step), gate);
    }

    /// <summary>The same with settings and number of the step that recorded work (<see cref="GpuGraph"/>) asks for again before each replay.</summary>
    internal static void Step(Tensor p, Tensor g, Tensor? buffer, Tensor? scale, Func<(SgdSettings Settings, long Step)> current, Tensor? gate)
    {
        (SgdSettings settings, long step) = current();
        settings.Validate();
        ArgumentOutOfRangeException.ThrowIfLessThan(step, 1);
        if (settings.Momentum > 0 != buffer is not null)
            throw new ArgumentException($"{Op}: a momentum buffer is given exactly where the momentum is above 0", nameof(buffer));
        Check.SameShape(Op, p, g);
        if (buffer is not null) Check.SameShape(Op, p, buffer);
        if (scale is not null) Check.HasShape(Op, scale, [1]);
        if (gate is not null) Check.HasShape(Op, gate, [1]);
        switch (Check.Floats(Op, p, g, buffer, scale, gate))
        {
            case CpuDevice or ReferenceDevice when gate is not null && gate.ToScalar() != 0: break;
            case CpuDevice cpu: CpuSgd.Step(cpu, p, g, buffer, scale, settings, step == 1); break;
            case GpuDevice gpu: GpuSgd.Step(gpu, p, g, buffer, scale, gate, Current); break;
            case ReferenceDevice: ReferenceStep(p, g, buffer, scale, settings, step == 1); break;
            case var other: throw Dispatch.Unknown(Op, other);
        }

        (SgdSettings Settings, long Step) Current()
        {
            (SgdSettings Settings, long Step) now = current();
            now.Settings.Validate();
            return now;
        }
    }
}
