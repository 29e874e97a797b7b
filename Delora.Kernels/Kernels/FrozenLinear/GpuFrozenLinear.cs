using Delora.Core;

namespace Delora.Kernels;

/// <summary>The implementation of <see cref="FrozenLinearKernel"/> for GPUs.</summary>
internal static class GpuFrozenLinear
{
    internal static void Forward(GpuDevice gpu, Tensor x, GpuFrozenWeight weight, Tensor? bias, Tensor y, in Epilogue epilogue) => GpuMatrixProduct.Run(
        gpu, MatMulLayout.NT, new(1, x.Shape[0], weight.Out, weight.In), x, weight.Operand, y, bias, scales: weight.OperandScales, epilogue: epilogue);

    internal static void Backward(GpuDevice gpu, Tensor dy, GpuFrozenWeight weight, Tensor dx, bool accumulate) => GpuMatrixProduct.Run(
        gpu, MatMulLayout.NN, new(1, dy.Shape[0], weight.In, weight.Out), dy, weight.Operand, dx, null, accumulate, scales: weight.OperandScales);
}
