using System.Runtime.Intrinsics.X86;
using Delora.Kernels;

namespace Delora.Tests.Cpu;

public unsafe class GemmTests
{
    private static readonly int[] Sizes = [0, 1, 31, 32, 33, 127, 129];

    /// <summary>Every level in hardware, and the 512-bit one in software where it is not: slow, but the same code.</summary>
    public static TheoryData<SimdLevel> Levels =>
        [.. Enum.GetValues<SimdLevel>().Where(level => level <= Simd.Best || Avx2.IsSupported && Fma.IsSupported)];

    public static TheoryData<SimdLevel, GemmLayout> LevelsAndLayouts
    {
        get
        {
            TheoryData<SimdLevel, GemmLayout> data = [];
            foreach (SimdLevel level in Levels)
                foreach (GemmLayout layout in Enum.GetValues<GemmLayout>())
                    data.Add(level, layout);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(LevelsAndLayouts))]
    public void MatchesPlainLoopsAtOddSizes(SimdLevel level, GemmLayout layout)
    {
        using WorkerTeam team = new(2);
        // Every pair of m and n, each with two values of k, so that each pair of any two sizes occurs.
        for (int i = 0; i < Sizes.Length; i++)
            for (int j = 0; j < Sizes.Length; j++)
                foreach (int step in new[] { 0, 3 })
                {
                    (int m, int n, int k) = (Sizes[i], Sizes[j], Sizes[(i + j + step) % Sizes.Length]);
                    new GemmCase(m, n, k) { Layout = layout, Bias = (i + j) % 2 == 0, Accumulate = (i + 2 * j) % 3 == 0 }.Check(team, level);
                }
    }

    [Theory]
    [MemberData(nameof(LevelsAndLayouts))]
    public void MatchesPlainLoopsAtTheSizesOfLayers(SimdLevel level, GemmLayout layout)
    {
        using WorkerTeam team = new(2);
        foreach ((int m, int n, int k) in new[]
        {
            (1025, 8, 129), (8, 1025, 129), (257, 1025, 8), (8, 97, 4100), (97, 8, 4100), (65, 70, 2500), (150, 50, 2049), (1, 1025, 129),
            (150, 800, 100), (300, 40, 500), (16, 97, 129), (32, 129, 97), (33, 97, 65), (97, 32, 129), (64, 300, 64),
        })
        {
            new GemmCase(m, n, k) { Layout = layout, Bias = true }.Check(team, level);
            new GemmCase(m, n, k) { Layout = layout, Accumulate = true }.Check(team, level);
        }
    }

    [Theory]
    [MemberData(nameof(LevelsAndLayouts))]
    public void BatchesMatchPlainLoops(SimdLevel level, GemmLayout layout)
    {
        using WorkerTeam team = new(2);
        (int, int, int, int)[] sizes = [(0, 5, 5, 5), (3, 33, 31, 65), (24, 65, 64, 17), (5, 150, 40, 390), (2, 3, 4, 0)];
        foreach ((int batch, int m, int n, int k) in sizes)
            new GemmCase(m, n, k) { Layout = layout, Batch = batch, Accumulate = batch == 5, Bias = batch == 2 }.Check(team, level);
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void PackedOperandGivesTheBitsOfThePlainOne(SimdLevel level)
    {
        using WorkerTeam team = new(2);
        foreach ((int m, int n, int k) in new[] { (200, 129, 1025), (150, 770, 33), (1, 33, 129), (65, 1, 1), (150, 31, 400) })
            foreach (bool transposed in new[] { false, true })
            {
                using GemmBuffer a = new((long)m * k), b = new((long)k * n), back = new((long)k * n);
                using GemmBuffer c1 = new((long)m * n), c2 = new((long)m * n);
                using GemmBuffer packed = new(PackedMatrix.ByteSize(k, n, level) / 4);
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
                GemmProblem plain = GemmTesting.Problem(m, n, k, a, false, b, transposed, c1);
                GemmProblem prepared = plain;
                prepared.B = null;
                prepared.Packed = view;
                prepared.C = c2.Data;
                GemmTesting.Run(team, level, plain);
                GemmTesting.Run(team, level, prepared);
                Assert.True(GemmTesting.Close(c1, c2, k));
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
            (5, 0, 6, 2), (13, 33, 65, 16), (25, 40, 400, 24), (61, 31, 70, 33), (61, 70, 33, 40), (14, 65, 31, 128), (14, 65, 31, 129),
        })
            foreach (bool packed in new[] { false, true })
                foreach (GemmFilterTarget filter in new[] { GemmFilterTarget.None, GemmFilterTarget.Left, GemmFilterTarget.LowRank })
                    GemmTesting.CheckLowRank(team, level, m, n, k, r, packed && k > 0 && n > 0, filter, accumulate: (m + r) % 2 == 0);
    }

    [Theory]
    [MemberData(nameof(LevelsAndLayouts))]
    public void FilteredOperandsMatchPlainLoops(SimdLevel level, GemmLayout layout)
    {
        using WorkerTeam team = new(2);
        foreach ((int m, int n, int k) in new[] { (8, 129, 70), (100, 33, 500), (8, 70, 4100), (129, 31, 33) })
        {
            new GemmCase(m, n, k) { Layout = layout, Filter = GemmFilterTarget.Left }.Check(team, level);
            if (layout is GemmLayout.NN or GemmLayout.TN)
                new GemmCase(m, n, k) { Layout = layout, Filter = GemmFilterTarget.Right, Accumulate = true }.Check(team, level);
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
            (40, 2000, 2100, 8), (256, 513, 300, 0), (154, 1100, 64, 8),
        })
            foreach (bool transposedLeft in new[] { false, true })
            {
                using GemmBuffer a = new((long)m * k), b = new((long)k * n), p = new((long)k * r), q = new((long)r * n);
                GemmBuffer[] results = [.. Enumerable.Range(0, 3).Select(_ => new GemmBuffer((long)m * n + (long)m * r))];
                a.Fill(1);
                b.Fill(2);
                p.Fill(3);
                q.Fill(4);
                WorkerTeam[] teams = [one, two, five];
                for (int i = 0; i < 3; i++)
                {
                    GemmProblem problem = GemmTesting.Problem(m, n, k, a, transposedLeft, b, false, results[i]) with
                    {
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
                    GemmTesting.Run(teams[i], level, problem);
                }
                Assert.True(results[0].SameBits(results[1]));
                Assert.True(results[0].SameBits(results[2]));
                foreach (GemmBuffer result in results)
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
}
