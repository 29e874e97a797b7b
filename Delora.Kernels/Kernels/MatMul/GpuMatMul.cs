using Delora.Core;

namespace Delora.Kernels;

/// <summary>The implementation of <see cref="MatMulKernel"/> for GPUs.</summary>
internal static class GpuMatMul
{
    internal static void Forward(
        GpuDevice gpu, MatMulSize size, Tensor a, Tensor b, Tensor c, MatMulLayout layout, Tensor? bias, bool accumulate, in Epilogue epilogue) =>
        GpuMatrixProduct.Run(gpu, layout, size, a, b, c, bias, accumulate, epilogue: epilogue);
}
