using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="AdamWKernel"/>.</summary>
internal static class GpuAdamW
{
    internal static void Step(GpuDevice gpu, Tensor p, Tensor g, Tensor m, Tensor v, Tensor? scale, in AdamWFactors factors)
    {
        ArrayView<float> pv = gpu.View<float>(p), gv = gpu.View<float>(g), mv = gpu.View<float>(m), vv = gpu.View<float>(v);
        if (scale is null) gpu.Launch(PlainKernel, p.ElementCount, pv, gv, mv, vv, factors);
        else gpu.Launch(ScaledKernel, p.ElementCount, pv, gv, mv, vv, gpu.View<float>(scale), factors);
    }

    private static void PlainKernel(
        Index1D i, ArrayView<float> p, ArrayView<float> g, ArrayView<float> m, ArrayView<float> v, AdamWFactors f) =>
        Update(i, p, g[i], m, v, f);

    private static void ScaledKernel(
        Index1D i, ArrayView<float> p, ArrayView<float> g, ArrayView<float> m, ArrayView<float> v, ArrayView<float> scale,
        AdamWFactors f) =>
        Update(i, p, g[i] * scale[0], m, v, f);

    private static void Update(int i, ArrayView<float> p, float gradient, ArrayView<float> m, ArrayView<float> v, AdamWFactors f)
    {
        float first = m[i] * f.Beta1 + gradient * f.OneMinusBeta1;
        float second = v[i] * f.Beta2 + gradient * gradient * f.OneMinusBeta2;
        float denominator = MathF.Sqrt(second) / f.RootCorrection2 + f.Epsilon;
        m[i] = first;
        v[i] = second;
        p[i] = p[i] * f.Keep - f.StepSize * first / denominator;
    }
}
