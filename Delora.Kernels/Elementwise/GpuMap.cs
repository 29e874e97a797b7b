using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>y = f(x) on one value, for ILGPU; <c>parameter</c> is the op's own number (0 where it has none).</summary>
internal interface IGpuUnaryOp
{
    static abstract float Apply(float x, float parameter);
}

/// <summary>y = f(a, b) on one pair of values, for ILGPU.</summary>
internal interface IGpuBinaryOp
{
    static abstract float Apply(float a, float b, float parameter);
}

/// <summary>The elementwise kernels of GPU devices, written once for every op. The output may be one of the inputs.</summary>
internal static class GpuMap
{
    internal static void Unary<TOp>(GpuDevice gpu, Tensor x, Tensor y, float parameter = 0) where TOp : struct, IGpuUnaryOp =>
        gpu.Launch(UnaryKernel<TOp>, x.ElementCount, gpu.View<float>(x), gpu.View<float>(y), parameter);

    internal static void Binary<TOp>(GpuDevice gpu, Tensor a, Tensor b, Tensor y, float parameter = 0) where TOp : struct, IGpuBinaryOp =>
        gpu.Launch(BinaryKernel<TOp>, a.ElementCount, gpu.View<float>(a), gpu.View<float>(b), gpu.View<float>(y), parameter);

    /// <summary>An op without parameters that is written for every vector width, on <see cref="GpuValue"/>: one formula for CPU and
    /// GPU.</summary>
    internal static void UnaryShared<TOp>(GpuDevice gpu, Tensor x, Tensor y) where TOp : struct, ICpuUnaryOp =>
        gpu.Launch(UnarySharedKernel<TOp>, x.ElementCount, gpu.View<float>(x), gpu.View<float>(y));

    /// <inheritdoc cref="UnaryShared"/>
    internal static void BinaryShared<TOp>(GpuDevice gpu, Tensor a, Tensor b, Tensor y) where TOp : struct, ICpuBinaryOp =>
        gpu.Launch(BinarySharedKernel<TOp>, a.ElementCount, gpu.View<float>(a), gpu.View<float>(b), gpu.View<float>(y));

    private static void UnarySharedKernel<TOp>(Index1D i, ArrayView<float> x, ArrayView<float> y) where TOp : struct, ICpuUnaryOp =>
        y[i] = default(TOp).Apply(new GpuValue(x[i])).Value;

    private static void BinarySharedKernel<TOp>(Index1D i, ArrayView<float> a, ArrayView<float> b, ArrayView<float> y)
        where TOp : struct, ICpuBinaryOp => y[i] = default(TOp).Apply(new GpuValue(a[i]), new GpuValue(b[i])).Value;

    private static void UnaryKernel<TOp>(Index1D i, ArrayView<float> x, ArrayView<float> y, float parameter)
        where TOp : struct, IGpuUnaryOp =>
        y[i] = TOp.Apply(x[i], parameter);

    private static void BinaryKernel<TOp>(Index1D i, ArrayView<float> a, ArrayView<float> b, ArrayView<float> y, float parameter)
        where TOp : struct, IGpuBinaryOp => y[i] = TOp.Apply(a[i], b[i], parameter);
}
