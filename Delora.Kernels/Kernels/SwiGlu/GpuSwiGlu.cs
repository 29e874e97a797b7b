using Delora.Core;
using ILGPU;

namespace Delora.Kernels;

/// <summary>The ILGPU implementation of <see cref="SwiGluKernel"/>.</summary>
internal static class GpuSwiGlu
{
    internal static void Forward(GpuDevice gpu, Tensor gate, Tensor up, Tensor y) =>
        GpuMap.BinaryShared<CpuSwiGlu.ForwardOp>(gpu, gate, up, y);

    internal static void Backward(GpuDevice gpu, Tensor gate, Tensor up, Tensor dy, Tensor? dgate, Tensor? dup) =>
        // What is not wanted is a view of dy that nothing is written to.
        gpu.Launch(
            BackwardKernel, gate.ElementCount, gpu.View<float>(gate), gpu.View<float>(up), gpu.View<float>(dy),
            gpu.View<float>(dgate ?? dy), gpu.View<float>(dup ?? dy), dgate is null ? 0 : 1, dup is null ? 0 : 1);

    private static void BackwardKernel(
        Index1D i, ArrayView<float> gate, ArrayView<float> up, ArrayView<float> dy, ArrayView<float> dgate, ArrayView<float> dup,
        int gateWanted, int upWanted)
    {
        (GpuValue dGate, GpuValue dUp) = CpuSwiGlu.Gradients(new GpuValue(gate[i]), new GpuValue(up[i]), new GpuValue(dy[i]));
        if (gateWanted != 0) dgate[i] = dGate.Value;
        if (upWanted != 0) dup[i] = dUp.Value;
    }
}
