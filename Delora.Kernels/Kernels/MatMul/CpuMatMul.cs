using Delora.Core;

namespace Delora.Kernels;

/// <summary>The SIMD implementation of <see cref="MatMulKernel"/>: a layout is two strides of <see cref="Gemm"/>.</summary>
internal static unsafe class CpuMatMul
{
    internal static void Forward(
        CpuDevice cpu, MatMulSize size, Tensor a, Tensor b, Tensor c, MatMulLayout layout, Tensor? bias, bool accumulate,
        in Epilogue epilogue)
    {
        (int batch, int m, int n, int k) = size;
        bool ta = layout == MatMulLayout.TN, tb = layout == MatMulLayout.NT;
        GemmProblem problem = new()
        {
            M = m,
            N = n,
            K = k,
            Batch = batch,
            A = a.Pointer<float>(),
            ARow = ta ? 1 : k,
            ACol = ta ? m : 1,
            ABatch = (nint)m * k,
            B = b.Pointer<float>(),
            BRow = tb ? 1 : n,
            BCol = tb ? k : 1,
            BBatch = (nint)k * n,
            C = c.Pointer<float>(),
            CRow = n,
            CBatch = (nint)m * n,
            Bias = bias is null ? null : bias.Pointer<float>(),
            Accumulate = accumulate,
        };
        CpuEpilogue.Run(cpu, problem, epilogue);
    }
}
