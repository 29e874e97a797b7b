using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="FrozenLinearKernel"/>, over panels that were packed once.</summary>
internal static unsafe class CpuFrozenLinear
{
    internal static void Forward(CpuDevice cpu, Tensor x, CpuFrozenWeight weight, Tensor? bias, Tensor y, in Epilogue epilogue) =>
        CpuEpilogue.Run(cpu, ForwardProblem(x, weight, bias, y), epilogue);

    internal static void Backward(CpuDevice cpu, Tensor dy, CpuFrozenWeight weight, Tensor dx, bool accumulate) =>
        Gemm.Run(cpu, BackwardProblem(dy, weight, dx, accumulate));

    /// <summary>y = x Wᵀ + bias.</summary>
    internal static GemmProblem ForwardProblem(Tensor x, CpuFrozenWeight weight, Tensor? bias, Tensor y)
    {
        GemmProblem problem = new()
        {
            M = x.Shape[0],
            N = weight.Out,
            K = weight.In,
            A = x.Pointer<float>(),
            ARow = weight.In,
            ACol = 1,
            C = y.Pointer<float>(),
            CRow = weight.Out,
            Bias = bias is null ? null : bias.Pointer<float>(),
        };
        weight.SetForward(ref problem);
        return problem;
    }

    /// <summary>dx (+)= dy W.</summary>
    internal static GemmProblem BackwardProblem(Tensor dy, CpuFrozenWeight weight, Tensor dx, bool accumulate)
    {
        GemmProblem problem = new()
        {
            M = dy.Shape[0],
            N = weight.In,
            K = weight.Out,
            A = dy.Pointer<float>(),
            ARow = weight.Out,
            ACol = 1,
            C = dx.Pointer<float>(),
            CRow = weight.In,
            Accumulate = accumulate,
        };
        weight.SetBackward(ref problem);
        return problem;
    }
}
