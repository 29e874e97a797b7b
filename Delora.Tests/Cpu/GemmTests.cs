using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Delora.Kernels;

namespace Delora.Tests.Cpu;

public unsafe class GemmTests
{
    private static readonly int[] Sizes = [0, 1, 31, 32, 33, 127, 129];

    public enum Layout
    {
        NN,
        NT,
        TN,
        TT,
    }

    /// <summary>Every level in hardware, and the 512-bit one in software where it is not: slow, but the same code.</summary>
    public static TheoryData<SimdLevel> Levels =>
        [.. Enum.GetValues<SimdLevel>().Where(level => level <= Simd.Best || Avx2.IsSupported && Fma.IsSupported)];

    public static TheoryData<SimdLevel, Layout> LevelsAndLayouts
    {
        get
        {
            TheoryData<SimdLevel, Layout> data = [];
            foreach (SimdLevel level in Levels)
                foreach (Layout layout in Enum.GetValues<Layout>())
                    data.Add(level, layout);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(LevelsAndLayouts))]
    public void MatchesPlainLoopsAtOddSizes(SimdLevel level, Layout layout)
    {
        using WorkerTeam team = new(2);
        // Every pair of m and n, each with two values of k, so that each pair of any two sizes occurs.
        for (int i = 0; i < Sizes.Length; i++)
            for (int j = 0; j < Sizes.Length; j++)
                foreach (int step in new[] { 0, 3 })
                {
                    (int m, int n, int k) = (Sizes[i], Sizes[j], Sizes[(i + j + step) % Sizes.Length]);
                    new Case(m, n, k) { Layout = layout, Bias = (i + j) % 2 == 0, Accumulate = (i + 2 * j) % 3 == 0 }.Check(team, level);
                }
    }

    [Theory]
    [MemberData(nameof(LevelsAndLayouts))]
    public void MatchesPlainLoopsAtTheSizesOfLayers(SimdLevel level, Layout layout)
    {
        using WorkerTeam team = new(2);
        foreach ((int m, int n, int k) in new[]
        {
            (1025, 8, 129), (8, 1025, 129), (257, 1025, 8), (8, 97, 4100), (97, 8, 4100), (65, 70, 2500), (150, 50, 2049), (1, 1025, 129),
            (150, 800, 100), (300, 40, 500),
        })
        {
            new Case(m, n, k) { Layout = layout, Bias = true }.Check(team, level);
            new Case(m, n, k) { Layout = layout, Accumulate = true }.Check(team, level);
        }
    }

    [Theory]
    [MemberData(nameof(LevelsAndLayouts))]
    public void BatchesMatchPlainLoops(SimdLevel level, Layout layout)
    {
        using WorkerTeam team = new(2);
        (int, int, int, int)[] sizes = [(0, 5, 5, 5), (3, 33, 31, 65), (24, 65, 64, 17), (5, 150, 40, 390), (2, 3, 4, 0)];
        foreach ((int batch, int m, int n, int k) in sizes)
            new Case(m, n, k) { Layout = layout, Batch = batch, Accumulate = batch == 5, Bias = batch == 2 }.Check(team, level);
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void PackedOperandGivesTheBitsOfThePlainOne(SimdLevel level)
    {
        using WorkerTeam team = new(2);
        foreach ((int m, int n, int k) in new[] { (200, 129, 1025), (150, 770, 33), (1, 33, 129), (65, 1, 1), (150, 31, 400) })
            foreach (bool transposed in new[] { false, true })
            {
                using Buffer a = new((long)m * k), b = new((long)k * n), back = new((long)k * n);
                using Buffer c1 = new((long)m * n), c2 = new((long)m * n);
                using Buffer packed = new(PackedMatrix.ByteSize(k, n, level) / 4);
                a.Fill(1);
                b.Fill(2);
                nint row = transposed ? 1 : n, col = transposed ? k : 1;
                PackedMatrix view = PackedMatrix.Pack(team, level, b.Data, row, col, k, n, packed.Data);
                view.Unpack(team, back.Data, row, col);
                Assert.True(b.SameBits(back));
                float* column = back.Data;
                back.Poison();
                view.CopyColumn(n - 1, column);
                for (int p = 0; p < k; p++)
                    Assert.Equal(b.Data[p * row + (n - 1) * col], column[p]);
                GemmProblem plain = new()
                {
                    M = m,
                    N = n,
                    K = k,
                    A = a.Data,
                    ARow = k,
                    ACol = 1,
                    B = b.Data,
                    BRow = row,
                    BCol = col,
                    C = c1.Data,
                    CRow = n,
                };
                GemmProblem prepared = plain;
                prepared.B = null;
                prepared.Packed = view;
                prepared.C = c2.Data;
                Run(team, level, plain);
                Run(team, level, prepared);
                Assert.True(Close(c1, c2, k));
                if (m > 144)
                    Assert.True(c1.SameBits(c2)); // the same path; few rows take another one
            }
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void LowRankBranchMatchesPlainLoops(SimdLevel level)
    {
        using WorkerTeam team = new(2);
        foreach ((int m, int n, int k, int r) in new[]
        {
            (33, 127, 129, 8), (150, 769, 33, 4), (200, 33, 390, 64), (7, 1100, 33, 1), (150, 1500, 9, 17), (1, 31, 31, 400), (5, 6, 0, 2),
            (5, 0, 6, 2),
        })
            foreach (bool packed in new[] { false, true })
                foreach (GemmFilterTarget filter in new[] { GemmFilterTarget.None, GemmFilterTarget.Left, GemmFilterTarget.LowRank })
                    CheckLowRank(team, level, m, n, k, r, packed && k > 0 && n > 0, filter, accumulate: (m + r) % 2 == 0);
    }

    [Theory]
    [MemberData(nameof(LevelsAndLayouts))]
    public void FilteredOperandsMatchPlainLoops(SimdLevel level, Layout layout)
    {
        using WorkerTeam team = new(2);
        foreach ((int m, int n, int k) in new[] { (8, 129, 70), (100, 33, 500), (8, 70, 4100), (129, 31, 33) })
        {
            new Case(m, n, k) { Layout = layout, Filter = GemmFilterTarget.Left }.Check(team, level);
            if (layout is Layout.NN or Layout.TN)
                new Case(m, n, k) { Layout = layout, Filter = GemmFilterTarget.Right, Accumulate = true }.Check(team, level);
        }
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void BitsDoNotDependOnTheNumberOfThreads(SimdLevel level)
    {
        using WorkerTeam one = new(1), two = new(2), five = new(5);
        foreach ((int m, int n, int k, int r) in new[]
        {
            (513, 769, 400, 0), (8, 769, 4100, 0), (769, 8, 4100, 0), (65, 70, 5000, 0), (512, 770, 390, 8), (100, 2000, 390, 20),
            (40, 2000, 2100, 8),
        })
            foreach (bool transposedLeft in new[] { false, true })
            {
                using Buffer a = new((long)m * k), b = new((long)k * n), p = new((long)k * r), q = new((long)r * n);
                Buffer[] results = [.. Enumerable.Range(0, 3).Select(_ => new Buffer((long)m * n + (long)m * r))];
                a.Fill(1);
                b.Fill(2);
                p.Fill(3);
                q.Fill(4);
                WorkerTeam[] teams = [one, two, five];
                for (int i = 0; i < 3; i++)
                {
                    GemmProblem problem = new()
                    {
                        M = m,
                        N = n,
                        K = k,
                        A = a.Data,
                        ARow = transposedLeft ? 1 : k,
                        ACol = transposedLeft ? m : 1,
                        B = b.Data,
                        BRow = n,
                        BCol = 1,
                        C = results[i].Data,
                        CRow = n,
                        Rank = r,
                        P = p.Data,
                        PRow = r,
                        PCol = 1,
                        Q = q.Data,
                        QRow = n,
                        QCol = 1,
                        H = results[i].Data + (long)m * n,
                        HRow = r,
                    };
                    Run(teams[i], level, problem);
                }
                Assert.True(results[0].SameBits(results[1]));
                Assert.True(results[0].SameBits(results[2]));
                foreach (Buffer result in results)
                    result.Dispose();
            }
    }

    [Fact]
    public void RefusesWhatItDoesNotDo()
    {
        float x = 0;
        GemmProblem negative = new() { M = -1, N = 1, K = 1 };
        Assert.Throws<ArgumentException>(() => Gemm.WorkspaceBytes(negative, SimdLevel.Vector128, 1));
        GemmProblem batchedRank = new() { M = 1, N = 1, K = 1, Batch = 2, Rank = 1 };
        Assert.Throws<ArgumentException>(() => Gemm.WorkspaceBytes(batchedRank, SimdLevel.Vector128, 1));
        GemmProblem otherShape = new() { M = 1, N = 2, K = 3, Packed = PackedMatrix.View(&x, 3, 1, SimdLevel.Vector128) };
        Assert.Throws<ArgumentException>(() => Gemm.WorkspaceBytes(otherShape, SimdLevel.Vector128, 1));
        GemmProblem noFilter = new() { M = 1, N = 2, K = 3, FilterTarget = GemmFilterTarget.Left };
        Assert.Throws<ArgumentException>(() => Gemm.WorkspaceBytes(noFilter, SimdLevel.Vector128, 1));
    }

    private static void CheckLowRank(
        WorkerTeam team, SimdLevel level, int m, int n, int k, int r, bool packed, GemmFilterTarget filter, bool accumulate)
    {
        using Buffer a = new((long)m * k), b = new((long)k * n), p = new((long)k * r), q = new((long)r * n), bias = new(n);
        using Buffer c = new((long)m * n), h = new((long)m * r), resident = new(packed ? PackedMatrix.ByteSize(k, n, level) / 4 : 0);
        a.Fill(1);
        b.Fill(2);
        p.Fill(3);
        q.Fill(4);
        bias.Fill(5);
        if (accumulate)
            c.Fill(6);
        else
            c.Poison();
        float[] before = new ReadOnlySpan<float>(c.Data, (int)c.Length).ToArray();
        h.Poison();
        GemmProblem problem = new()
        {
            M = m,
            N = n,
            K = k,
            A = a.Data,
            ARow = k,
            ACol = 1,
            B = b.Data,
            BRow = 1,
            BCol = k,
            C = c.Data,
            CRow = n,
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

    private static float Mask(long row, long column) => (row * 7 + column * 3) % 4 == 0 ? 0f : 1.25f;

    private static void Checkerboard(void* state, float* block, nint ld, long row, long column, int rows, int columns)
    {
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
                block[i * ld + j] *= Mask(row + i, column + j);
    }

    private static void AssertClose(double expected, float actual, double tolerance)
    {
        if (!(Math.Abs(expected - actual) <= tolerance))
            Assert.Fail($"{actual} instead of {expected}, tolerance {tolerance}");
    }

    private static bool Close(Buffer x, Buffer y, int k)
    {
        for (long i = 0; i < x.Length; i++)
            if (!(Math.Abs(x.Data[i] - y.Data[i]) <= 1e-5 * Math.Sqrt(k + 1)))
                return false;
        return true;
    }

    /// <summary>Runs with a workspace of exactly the size asked for, poisoned, between guards.</summary>
    private static void Run(WorkerTeam team, SimdLevel level, in GemmProblem problem)
    {
        long floats = Gemm.WorkspaceBytes(problem, level, team.Size) / 4;
        using Buffer workspace = new(floats);
        workspace.Poison();
        Gemm.Run(team, level, problem, workspace.Data);
    }

    private sealed record Case(int M, int N, int K)
    {
        public Layout Layout { get; init; }

        public bool Bias { get; init; }

        public bool Accumulate { get; init; }

        public int Batch { get; init; } = 1;

        public GemmFilterTarget Filter { get; init; }

        public void Check(WorkerTeam team, SimdLevel level)
        {
            int pad = 3, ldc = N + pad; // rows of C lie apart, and what lies between must not change
            using Buffer a = new((long)Batch * M * K), b = new((long)Batch * K * N), c = new((long)Batch * M * ldc), bias = new(N);
            a.Fill(1);
            b.Fill(2);
            bias.Fill(3);
            if (Accumulate)
                c.Fill(4);
            else
                c.Poison();
            float[] before = new ReadOnlySpan<float>(c.Data, (int)c.Length).ToArray();
            bool ta = Layout is Layout.TN or Layout.TT, tb = Layout is Layout.NT or Layout.TT;
            GemmProblem problem = new()
            {
                M = M,
                N = N,
                K = K,
                Batch = Batch,
                A = a.Data,
                ARow = ta ? 1 : K,
                ACol = ta ? M : 1,
                ABatch = (nint)M * K,
                B = b.Data,
                BRow = tb ? 1 : N,
                BCol = tb ? K : 1,
                BBatch = (nint)K * N,
                C = c.Data,
                CRow = ldc,
                CBatch = (nint)M * ldc,
                Bias = Bias ? bias.Data : null,
                Accumulate = Accumulate,
                FilterTarget = Filter,
                Filter = Filter == GemmFilterTarget.None ? null : &Checkerboard,
            };
            Run(team, level, problem);
            double tolerance = 1e-5 * Math.Sqrt(K + 1);
            double[] left = new double[K];
            for (int e = 0; e < Batch; e++)
                for (int i = 0; i < M; i++)
                {
                    for (int p = 0; p < K; p++)
                    {
                        double mask = Filter == GemmFilterTarget.Left ? Mask(i, p) : 1.0;
                        left[p] = mask * a.Data[e * problem.ABatch + i * problem.ARow + p * problem.ACol];
                    }
                    for (int j = 0; j < ldc; j++)
                    {
                        long at = ((long)e * M + i) * ldc + j;
                        if (j >= N)
                        {
                            if (BitConverter.SingleToInt32Bits(before[at]) != BitConverter.SingleToInt32Bits(c.Data[at]))
                                Assert.Fail($"{this} on {level} wrote between the rows of C");
                            continue;
                        }
                        double sum = (Bias ? bias.Data[j] : 0) + (Accumulate ? before[at] : 0);
                        float* right = b.Data + e * problem.BBatch + j * problem.BCol;
                        for (int p = 0; p < K; p++)
                            sum += left[p] * right[p * problem.BRow] * (Filter == GemmFilterTarget.Right ? Mask(p, j) : 1.0);
                        AssertClose(sum, c.Data[at], tolerance);
                    }
                }
        }
    }

    /// <summary>Native memory between guard zones that must be intact at the end.</summary>
    private sealed class Buffer : IDisposable
    {
        private const int Guard = 64;
        private readonly float* _start;

        public Buffer(long length)
        {
            Length = length;
            _start = (float*)NativeMemory.AlignedAlloc((nuint)(length + 2 * Guard) * sizeof(float), 64);
            new Span<float>(_start, Guard).Fill(12345f);
            new Span<float>(_start + Guard + length, Guard).Fill(12345f);
        }

        public long Length { get; }

        public float* Data => _start + Guard;

        public void Poison() => new Span<float>(Data, (int)Length).Fill(float.NaN);

        public void Fill(int seed)
        {
            Random random = new(seed);
            for (long i = 0; i < Length; i++)
                Data[i] = random.NextSingle() * 2 - 1;
        }

        public bool SameBits(Buffer other) =>
            new ReadOnlySpan<int>(Data, (int)Length).SequenceEqual(new ReadOnlySpan<int>(other.Data, (int)other.Length));

        public void Dispose()
        {
            bool intact = new ReadOnlySpan<float>(_start, Guard).IndexOfAnyExcept(12345f) < 0
                && new ReadOnlySpan<float>(Data + Length, Guard).IndexOfAnyExcept(12345f) < 0;
            NativeMemory.AlignedFree(_start);
            Assert.True(intact, "wrote outside its memory");
        }
    }
}
