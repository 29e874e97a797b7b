using Delora.Kernels;

namespace Delora.Tests.Cpu;

/// <summary>Which operand is stored transposed.</summary>
public enum GemmLayout
{
    NN,
    NT,
    TN,
    TT,
}

/// <summary>One product of those sizes, beside plain float64 loops.</summary>
internal sealed unsafe record GemmCase(int M, int N, int K)
{
    public GemmLayout Layout { get; init; }

    public bool Bias { get; init; }

    public bool Accumulate { get; init; }

    public int Batch { get; init; } = 1;

    public GemmFilterTarget Filter { get; init; }

    public void Check(WorkerTeam team, SimdLevel level)
    {
        int pad = 3, ldc = N + pad; // rows of C lie apart, and what lies between must not change
        using GemmBuffer a = new((long)Batch * M * K), b = new((long)Batch * K * N), c = new((long)Batch * M * ldc), bias = new(N);
        a.Fill(1);
        b.Fill(2);
        bias.Fill(3);
        float[] before = c.FillOrPoison(Accumulate, 4);
        bool ta = Layout is GemmLayout.TN or GemmLayout.TT, tb = Layout is GemmLayout.NT or GemmLayout.TT;
        GemmProblem problem = GemmTesting.Problem(M, N, K, a, ta, b, tb, c) with
        {
            Batch = Batch,
            ABatch = (nint)M * K,
            BBatch = (nint)K * N,
            CRow = ldc,
            CBatch = (nint)M * ldc,
            Bias = Bias ? bias.Data : null,
            Accumulate = Accumulate,
            FilterTarget = Filter,
            Filter = Filter == GemmFilterTarget.None ? null : &GemmTesting.Checkerboard,
        };
        GemmTesting.Run(team, level, problem);
        double tolerance = 1e-5 * Math.Sqrt(K + 1);
        double[] left = new double[K];
        for (int e = 0; e < Batch; e++)
            for (int i = 0; i < M; i++)
            {
                for (int p = 0; p < K; p++)
                {
                    double mask = Filter == GemmFilterTarget.Left ? GemmTesting.Mask(i, p) : 1.0;
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
                        sum += left[p] * right[p * problem.BRow] * (Filter == GemmFilterTarget.Right ? GemmTesting.Mask(p, j) : 1.0);
                    GemmTesting.AssertClose(sum, c.Data[at], tolerance);
                }
            }
    }
}
