using Delora.Core;
using ILGPU;
using ILGPU.Runtime;

namespace Delora.Kernels;

/// <summary>Partial sums in the memory of a GPU device, for the time of one call, and the group that adds them up.</summary>
internal readonly ref struct GpuPartials<TSum> where TSum : unmanaged, IGpuSum<TSum>
{
    private readonly GpuDevice _gpu;
    private readonly Tensor _memory;

    internal GpuPartials(GpuDevice gpu, int count, string name)
    {
        _gpu = gpu;
        // At least one element, so that there is a view of none as well.
        _memory = Tensor.Empty([checked(Math.Max(count, 1) * Interop.SizeOf<TSum>())], DType.UInt8, gpu, name);
        View = gpu.View<byte>(_memory).Cast<TSum>().SubView(0, count);
    }

    /// <summary>The partial sums.</summary>
    internal ArrayView<TSum> View { get; }

    public void Dispose() => _memory.Dispose();

    /// <summary>result[0] = √max(Σ partial sums, 0).</summary>
    internal void SquareRootOfSum(ArrayView<float> result) =>
        _gpu.LaunchGroups(GpuDot.SquareRootKernel, new KernelConfig(1, GpuReduce.GroupSize(_gpu)), View, result);
}
