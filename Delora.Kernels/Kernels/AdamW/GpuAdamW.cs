using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="AdamWKernel"/>.</summary>
internal static class GpuAdamW
{
    internal static void Step(GpuDevice gpu, Tensor p, Tensor g, Tensor m, Tensor v, Tensor? scale, Tensor? gate, in AdamWFactors factors)
    {
        ArrayView<float> pv = gpu.View<float>(p), gv = gpu.View<float>(g), mv = gpu.View<float>(m), vv = gpu.View<float>(v);
        // A kernel has no null views.
        ArrayView<float> gated = gate is null ? pv.SubView(0, 0) : gpu.View<float>(gate);
        if (scale is null) gpu.Launch(PlainKernel, p.ElementCount, pv, gv, mv, vv, gated, factors);
        else gpu.Launch(ScaledKernel, p.ElementCount, pv, gv, mv, vv, gpu.View<float>(scale), gated, factors);
    }

    private static void PlainKernel(
        Index1D i, ArrayView<float> p, ArrayView<float> g, ArrayView<float> m, ArrayView<float> v, ArrayView<float> gate, AdamWFactors f) =>
        Update(i, p, g[i], m, v, gate, f);

    private static void ScaledKernel(
        Index1D i, ArrayView<float> p, ArrayView<float> g, ArrayView<float> m, ArrayView<float> v, ArrayView<float> scale,
        ArrayView<float> gate, AdamWFactors f) =>
        Update(i, p, g[i] * scale[0], m, v, gate, f);

    private static void Update(
        int i, ArrayView<float> p, float gradient, ArrayView<float> m, ArrayView<float> v, ArrayView<float> gate, AdamWFactors f)
    {
        if (GpuReduce.IsClosed(gate)) return;
        float first = m[i] * f.Beta1 + gradient * f.OneMinusBeta1;
        float second = v[i] * f.Beta2 + gradient * gradient * f.OneMinusBeta2;
        float denominator = MathF.Sqrt(second) / f.RootCorrection2 + f.Epsilon;
        m[i] = first;
        v[i] = second;
        p[i] = p[i] * f.Keep - f.StepSize * first / denominator;
    }
}
