using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="SgdKernel"/>.</summary>
internal static class GpuSgd
{
    internal static void Step(GpuDevice gpu, Tensor p, Tensor g, Tensor? buffer, Tensor? scale, Tensor? gate, Func<(SgdSettings Settings, long Step)> current)
    {
        ArrayView<float> pv = gpu.View<float>(p), gv = gpu.View<float>(g);
        // A kernel has no null views: a scale that is missing is not read.
        ArrayView<float> sv = scale is null ? pv : gpu.View<float>(scale);
        ArrayView<float> gated = gate is null ? pv.SubView(0, 0) : gpu.View<float>(gate);
        int scaled = scale is null ? 0 : 1;
        var fed = new GpuFed<Factors>(gpu, () => new Factors(current()), pv);
        if (buffer is null) gpu.Launch(PlainKernel, p.ElementCount, pv, gv, sv, gated, fed, scaled);
        else gpu.Launch(MomentumKernel, p.ElementCount, pv, gv, gpu.View<float>(buffer), sv, gated, fed, scaled, current().Settings.Nesterov ? 1 : 0);
    }

    private static void PlainKernel(
        Index1D i, ArrayView<float> p, ArrayView<float> g, ArrayView<float> scale, ArrayView<float> gate, GpuFed<Factors> fed, int scaled)
    {
        if (GpuReduce.IsClosed(gate)) return;
        Factors f = fed.Here();
        p[i] -= f.LearningRate * Direction(i, p, g, scale, f, scaled);
    }

    private static void MomentumKernel(
        Index1D i, ArrayView<float> p, ArrayView<float> g, ArrayView<float> buffer, ArrayView<float> scale, ArrayView<float> gate,
        GpuFed<Factors> fed, int scaled, int nesterov)
    {
        if (GpuReduce.IsClosed(gate)) return;
        Factors f = fed.Here();
        float direction = Direction(i, p, g, scale, f, scaled);
        float b = f.First != 0 ? direction : buffer[i] * f.Momentum + direction;
        buffer[i] = b;
        p[i] -= f.LearningRate * (nesterov != 0 ? direction + f.Momentum * b : b);
    }

    private static float Direction(int i, ArrayView<float> p, ArrayView<float> g, ArrayView<float> scale, Factors f, int scaled) =>
        (scaled != 0 ? g[i] * scale[0] : g[i]) + f.Decay * p[i];

    /// <summary>What may change from one step to the next.</summary>
    internal readonly struct Factors((SgdSettings Settings, long Step) of)
    {
        internal readonly float LearningRate = (float)of.Settings.LearningRate, Momentum = (float)of.Settings.Momentum, Decay = (float)of.Settings.WeightDecay;
        internal readonly int First = of.Step == 1 ? 1 : 0;
    }
}
