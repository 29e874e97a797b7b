using Delora.Core;

namespace Delora.Kernels;

/// <summary>
/// The SIMD implementation of <see cref="LowRankLinearKernel"/>: h and v come out of the tiles of the base product, the branch is r more
/// steps of its inner loop, and a dropout mask is computed again wherever a block of x or of v A' passes.
/// </summary>
internal static unsafe class CpuLowRankLinear
{
    internal static void Forward(
        CpuDevice cpu, Tensor x, CpuFrozenWeight weight, Tensor? bias, Tensor a, Tensor b, Tensor h, Tensor y, DropoutMask? dropout,
        in Epilogue epilogue)
    {
        int rank = a.Shape[0];
        GemmProblem problem = CpuFrozenLinear.ForwardProblem(x, weight, bias, y);
        AddBranch(ref problem, a, b, h, transposed: true);
        RunMasked(cpu, ref problem, dropout, weight.In, rank > 0 ? GemmFilterTarget.Left : GemmFilterTarget.None, epilogue);
    }

    internal static void Backward(
        CpuDevice cpu, Tensor x, CpuFrozenWeight weight, Tensor a, Tensor b, Tensor h, Tensor dy, Tensor? dx, Tensor? da, Tensor? db,
        DropoutMask? dropout, bool accumulateDx)
    {
        int rank = a.Shape[0], rows = x.Shape[0];
        if (db is not null) MatMulKernel.Forward(dy, h, db, MatMulLayout.TN);
        if (dx is null && da is null) return;
        using Tensor v = Tensor.Empty([rows, rank], DType.Float32, cpu, "LowRankLinear.v");
        if (dx is null)
        {
            MatMulKernel.Forward(dy, b, v);
        }
        else
        {
            GemmProblem problem = CpuFrozenLinear.BackwardProblem(dy, weight, dx, accumulateDx);
            AddBranch(ref problem, b, a, v, transposed: false);
            RunMasked(cpu, ref problem, dropout, weight.In, rank > 0 ? GemmFilterTarget.LowRank : GemmFilterTarget.None, default);
        }
        if (da is null) return;
        GemmProblem gradient = new()
        {
            M = rank,
            N = weight.In,
            K = rows,
            A = v.Pointer<float>(),
            ARow = 1,
            ACol = rank,
            B = x.Pointer<float>(),
            BRow = weight.In,
            BCol = 1,
            C = da.Pointer<float>(),
            CRow = weight.In,
        };
        RunMasked(cpu, ref gradient, dropout, weight.In, GemmFilterTarget.Right, default);
    }

    /// <summary>H = A·down, C += H·up, where both factors are given as they lie or transposed.</summary>
    private static void AddBranch(ref GemmProblem problem, Tensor down, Tensor up, Tensor h, bool transposed)
    {
        problem.Rank = h.Shape[1];
        problem.P = down.Pointer<float>();
        problem.PRow = transposed ? 1 : down.Shape[1];
        problem.PCol = transposed ? down.Shape[1] : 1;
        problem.Q = up.Pointer<float>();
        problem.QRow = transposed ? 1 : up.Shape[1];
        problem.QCol = transposed ? up.Shape[1] : 1;
        problem.H = h.Pointer<float>();
        problem.HRow = h.Shape[1];
    }

    private static void RunMasked(
        CpuDevice cpu, ref GemmProblem problem, DropoutMask? dropout, int columns, GemmFilterTarget target, in Epilogue epilogue)
    {
        if (dropout is not { Probability: > 0 } mask)
        {
            CpuEpilogue.Run(cpu, problem, epilogue);
            return;
        }
        MaskState state = new() { Mask = mask, Columns = columns };
        problem.FilterTarget = target;
        problem.Filter = &ApplyMask;
        problem.FilterState = &state;
        CpuEpilogue.Run(cpu, problem, epilogue);
    }

    private static void ApplyMask(void* state, float* block, nint stride, long row, long column, int rows, int columns)
    {
        MaskState* mask = (MaskState*)state;
        for (int i = 0; i < rows; i++)
        {
            float* values = block + i * stride;
            CpuDropout.Apply(values, values, (row + i) * mask->Columns + column, columns, mask->Mask);
        }
    }

    private struct MaskState
    {
        public DropoutMask Mask;
        public long Columns;
    }
}
