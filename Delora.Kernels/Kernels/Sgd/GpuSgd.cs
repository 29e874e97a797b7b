using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="SgdKernel"/>.</summary>
internal static class GpuSgd
{
    internal static void Step(GpuDevice gpu, Tensor p, Tensor g, Tensor? buffer, Tensor? scale, Tensor? gate, in SgdSettings settings, bool first)
    {
        ArrayView<float> pv = gpu.View<float>(p), gv = gpu.View<float>(g);
        var f = new Factors
        {
            LearningRate = (float)settings.LearningRate,
            Momentum = (float)settings.Momentum,
            Decay = (float)settings.WeightDecay,
            Scaled = scale is null ? 0 : 1,
            Nesterov = settings.Nesterov ? 1 : 0,
            First = first ? 1 : 0,
        };
        // A kernel has no null views: a scale that is missing is not read.
        ArrayView<float> sv = scale is null ? pv : gpu.View<float>(scale);
        ArrayView<float> gated = gate is null ? pv.SubView(0, 0) : gpu.View<float>(gate);
        if (buffer is null) gpu.Launch(PlainKernel, p.ElementCount, pv, gv, sv, gated, f);
        else gpu.Launch(MomentumKernel, p.ElementCount, pv, gv, gpu.View<float>(buffer), sv, gated, f);
    }

    private static void PlainKernel(
        Index1D i, ArrayView<float> p, ArrayView<float> g, ArrayView<float> scale, ArrayView<float> gate, Factors f)
    {
        if (GpuReduce.IsClosed(gate)) return;
        p[i] -= f.LearningRate * Direction(i, p, g, scale, f);
    }

    private static void MomentumKernel(
        Index1D i, ArrayView<float> p, ArrayView<float> g, ArrayView<float> buffer, ArrayView<float> scale, ArrayView<float> gate,
        Factors f)
    {
        if (GpuReduce.IsClosed(gate)) return;
        float direction = Direction(i, p, g, scale, f);
        float b = f.First != 0 ? direction : buffer[i] * f.Momentum + direction;
        buffer[i] = b;
        p[i] -= f.LearningRate * (f.Nesterov != 0 ? direction + f.Momentum * b : b);
    }

    private static float Direction(int i, ArrayView<float> p, ArrayView<float> g, ArrayView<float> scale, Factors f) =>
        (f.Scaled != 0 ? g[i] * scale[0] : g[i]) + f.Decay * p[i];

    internal struct Factors
    {
        public float LearningRate, Momentum, Decay;
        public int Scaled, Nesterov, First;
    }
}
