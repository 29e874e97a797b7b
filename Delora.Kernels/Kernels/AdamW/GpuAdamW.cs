using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="AdamWKernel"/>.</summary>
internal static class GpuAdamW
{
    internal static void Step(GpuDevice gpu, Tensor p, Tensor g, Tensor m, Tensor v, Tensor? scale, Tensor? gate, Func<AdamWFactors> factors)
    {
        ArrayView<float> pv = gpu.View<float>(p), gv = gpu.View<float>(g), mv = gpu.View<float>(m), vv = gpu.View<float>(v);
        // A kernel has no null views.
        ArrayView<float> gated = gate is null ? pv.SubView(0, 0) : gpu.View<float>(gate);
        var fed = new GpuFed<AdamWFactors>(gpu, factors, pv);
        if (scale is null) gpu.Launch(PlainKernel, p.ElementCount, pv, gv, mv, vv, gated, fed);
        else gpu.Launch(ScaledKernel, p.ElementCount, pv, gv, mv, vv, gpu.View<float>(scale), gated, fed);
    }

    private static void PlainKernel(
        Index1D i, ArrayView<float> p, ArrayView<float> g, ArrayView<float> m, ArrayView<float> v, ArrayView<float> gate,
        GpuFed<AdamWFactors> fed) =>
        Update(i, p, g[i], m, v, gate, fed);

    private static void ScaledKernel(
        Index1D i, ArrayView<float> p, ArrayView<float> g, ArrayView<float> m, ArrayView<float> v, ArrayView<float> scale,
        ArrayView<float> gate, GpuFed<AdamWFactors> fed) =>
        Update(i, p, g[i] * scale[0], m, v, gate, fed);

    private static void Update(
        int i, ArrayView<float> p, float gradient, ArrayView<float> m, ArrayView<float> v, ArrayView<float> gate,
        GpuFed<AdamWFactors> fed)
    {
        if (GpuReduce.IsClosed(gate)) return;
        AdamWFactors f = fed.Here();
        float first = m[i] * f.Beta1 + gradient * f.OneMinusBeta1;
        float second = v[i] * f.Beta2 + gradient * gradient * f.OneMinusBeta2;
        float denominator = MathF.Sqrt(second) / f.RootCorrection2 + f.Epsilon;
        m[i] = first;
        v[i] = second;
        p[i] = p[i] * f.Keep - f.StepSize * first / denominator;
    }
}
