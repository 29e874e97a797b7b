using Delora.Kernels;

namespace Delora.Tests.Cpu;

/// <summary>What the tests of matrix products share.</summary>
internal static unsafe class GemmTesting
{
    /// <summary>C = A B, each operand without gaps, row by row or transposed.</summary>
    internal static GemmProblem Problem(
        int m, int n, int k, GemmBuffer a, bool transposedLeft, GemmBuffer b, bool transposedRight, GemmBuffer c) => new()
        {
            M = m,
            N = n,
            K = k,
            A = a.Data,
            ARow = transposedLeft ? 1 : k,
            ACol = transposedLeft ? m : 1,
            B = b.Data,
            BRow = transposedRight ? 1 : n,
            BCol = transposedRight ? k : 1,
            C = c.Data,
            CRow = n,
        };

    internal static void CheckLowRank(
        WorkerTeam team, SimdLevel level, int m, int n, int k, int r, bool packed, GemmFilterTarget filter, bool accumulate)
    {
        using GemmBuffer a = new((long)m * k), b = new((long)k * n), p = new((long)k * r), q = new((long)r * n), bias = new(n);
        using GemmBuffer c = new((long)m * n), h = new((long)m * r), resident = new(packed ? PackedMatrix.ByteSize(k, n, level) / 4 : 0);
        a.Fill(1);
        b.Fill(2);
        p.Fill(3);
        q.Fill(4);
        bias.Fill(5);
        float[] before = c.FillOrPoison(accumulate, 6);
        h.Poison();
        GemmProblem problem = Problem(m, n, k, a, false, b, true, c) with
        {
            Bias = bias.Data,
            Accumulate = accumulate,
            Rank = r,
            P = p.Data,
            PRow = 1,
            PCol = k,
            Q = q.Data,
            QRow = 1,
            QCol = r,
            H = h.Data,
            HRow = r,
            FilterTarget = filter,
            Filter = filter == GemmFilterTarget.None ? null : &Checkerboard,
        };
        if (packed)
            problem.Packed = PackedMatrix.Pack(team, level, b.Data, 1, k, k, n, resident.Data);
        Run(team, level, problem);
        for (int i = 0; i < m; i++)
        {
            double[] branch = new double[r];
            for (int x = 0; x < r; x++)
            {
                for (int s = 0; s < k; s++)
                    branch[x] += a.Data[i * k + s] * (filter == GemmFilterTarget.Left ? Mask(i, s) : 1.0) * p.Data[x * k + s];
                AssertClose(branch[x], h.Data[i * r + x], 1e-5 * Math.Sqrt(k + 1));
            }
            for (int j = 0; j < n; j++)
            {
                double low = 0, sum = bias.Data[j] + (accumulate ? before[i * n + j] : 0);
                for (int x = 0; x < r; x++)
                    low += branch[x] * q.Data[j * r + x];
                for (int s = 0; s < k; s++)
                    sum += (double)a.Data[i * k + s] * b.Data[j * k + s];
                sum += low * (filter == GemmFilterTarget.LowRank ? Mask(i, j) : 1.0);
                AssertClose(sum, c.Data[i * n + j], 2e-5 * Math.Sqrt((double)(k + 1) * (r + 1)));
            }
        }
    }

    internal static float Mask(long row, long column) => (row * 7 + column * 3) % 4 == 0 ? 0f : 1.25f;

    internal static void Checkerboard(void* state, float* block, nint ld, long row, long column, int rows, int columns)
    {
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
                block[i * ld + j] *= Mask(row + i, column + j);
    }

    internal static void AssertClose(double expected, float actual, double tolerance)
    {
        if (!(Math.Abs(expected - actual) <= tolerance))
            Assert.Fail($"{actual} instead of {expected}, tolerance {tolerance}");
    }

    internal static bool Close(GemmBuffer x, GemmBuffer y, int k)
    {
        for (long i = 0; i < x.Length; i++)
            if (!(Math.Abs(x.Data[i] - y.Data[i]) <= 1e-5 * Math.Sqrt(k + 1)))
                return false;
        return true;
    }

    /// <summary>Runs with a workspace of exactly the size asked for, poisoned, between guards.</summary>
    internal static void Run(WorkerTeam team, SimdLevel level, in GemmProblem problem)
    {
        long floats = Gemm.WorkspaceBytes(problem, level, team.Size) / 4;
        using GemmBuffer workspace = new(floats);
        workspace.Poison();
        Gemm.Run(team, level, problem, workspace.Data);
    }
}
