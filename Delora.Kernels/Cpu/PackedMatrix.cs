namespace Delora.Kernels;

/// <summary>
/// A right operand B[K, N] of <see cref="Gemm"/> in the layout in which the micro-kernel reads it, made once for an operand that never
/// changes: [blocks of K][panels of Nr columns][steps of the block][Nr], the last panel padded with zeros. A view: the caller owns the
/// memory.
/// </summary>
public readonly unsafe struct PackedMatrix
{
    /// <summary>Alignment, in bytes, that the memory should have.</summary>
    public const int Alignment = 64;

    private PackedMatrix(float* data, int k, int n, SimdLevel level)
    {
        Data = data;
        K = k;
        N = n;
        Level = level;
    }

    /// <summary>The packed numbers; null in a default value.</summary>
    public float* Data { get; }

    /// <summary>Rows of B: the inner dimension of the product.</summary>
    public int K { get; }

    /// <summary>Columns of B.</summary>
    public int N { get; }

    /// <summary>The level whose micro-kernel the layout is for.</summary>
    public SimdLevel Level { get; }

    /// <summary>Bytes that the packed form of a [k, n] operand takes.</summary>
    /// <param name="k">Rows of B.</param>
    /// <param name="n">Columns of B.</param>
    /// <param name="level">Level of the products to come.</param>
    /// <exception cref="OverflowException">More bytes than a <see cref="long"/> holds.</exception>
    public static long ByteSize(int k, int n, SimdLevel level) => checked(Padded(n, level) * k * sizeof(float));

    /// <summary>A view of memory that <see cref="Pack"/> has filled.</summary>
    /// <param name="data">At least <see cref="ByteSize"/> bytes.</param>
    /// <param name="k">Rows of B.</param>
    /// <param name="n">Columns of B.</param>
    /// <param name="level">Level that it was packed for.</param>
    public static PackedMatrix View(float* data, int k, int n, SimdLevel level) => new(data, k, n, level);

    /// <summary>Packs B, given by pointer and strides, on all members of the team.</summary>
    /// <param name="team">Threads.</param>
    /// <param name="level">Level of the products to come.</param>
    /// <param name="b">First element of B.</param>
    /// <param name="row">Floats between rows of B.</param>
    /// <param name="col">Floats between columns of B.</param>
    /// <param name="k">Rows of B.</param>
    /// <param name="n">Columns of B.</param>
    /// <param name="data">Receives the packed form: <see cref="ByteSize"/> bytes.</param>
    public static PackedMatrix Pack(WorkerTeam team, SimdLevel level, float* b, nint row, nint col, int k, int n, float* data)
    {
        switch (level)
        {
            case SimdLevel.Vector512: Pack<MicroKernel512>(team, b, row, col, k, n, data); break;
            case SimdLevel.Vector256: Pack<MicroKernel256>(team, b, row, col, k, n, data); break;
            default: Pack<MicroKernel128>(team, b, row, col, k, n, data); break;
        }
        return new(data, k, n, level);
    }

    /// <summary>Copies the operand back, bit by bit, to memory given by pointer and strides.</summary>
    /// <param name="team">Threads.</param>
    /// <param name="b">First element of the copy of B.</param>
    /// <param name="row">Floats between rows of the copy.</param>
    /// <param name="col">Floats between columns of the copy.</param>
    public void Unpack(WorkerTeam team, float* b, nint row, nint col)
    {
        if (K == 0 || N == 0)
            return;
        UnpackBody body = new() { Source = this, B = b, Row = row, Col = col };
        team.For(N, PanelWidth(Level), ref body);
    }

    /// <summary>Copies column <paramref name="n"/> of B, which is a row of the weight [N, K] when B is its transpose.</summary>
    /// <param name="n">0 ≤ n &lt; N.</param>
    /// <param name="destination">Receives K floats.</param>
    /// <exception cref="ArgumentOutOfRangeException">No such column.</exception>
    public void CopyColumn(int n, float* destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(n);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(n, N);
        CopyColumns(n, n + 1, destination, 1, K);
    }

    /// <summary>Floats per row of the padded operand.</summary>
    internal static long Padded(int n, SimdLevel level) => Gemm.RoundUp(n, PanelWidth(level));

    internal static int PanelWidth(SimdLevel level) => level switch
    {
        SimdLevel.Vector512 => MicroKernel512.Nr,
        SimdLevel.Vector256 => MicroKernel256.Nr,
        _ => MicroKernel128.Nr,
    };

    private static void Pack<TKernel>(WorkerTeam team, float* b, nint row, nint col, int k, int n, float* data)
        where TKernel : struct, IMicroKernel => GemmPacking.PackRight<TKernel>(team, b, row, col, 0, k, n, 1, data, parallel: true);

    private void CopyColumns(int first, int end, float* destination, nint row, nint col)
    {
        int nr = PanelWidth(Level), kc = Gemm.BlockOfK(K);
        long padded = Padded(N, Level);
        for (int k0 = 0; k0 < K; k0 += kc)
        {
            int kb = Math.Min(kc, K - k0);
            float* block = Data + padded * k0;
            for (int n = first; n < end; n++)
            {
                float* s = block + (long)(n / nr) * nr * kb + n % nr;
                float* d = destination + (n - first) * col + k0 * row;
                for (int k = 0; k < kb; k++)
                    d[k * row] = s[(long)k * nr];
            }
        }
    }

    private struct UnpackBody : IRangeBody
    {
        public PackedMatrix Source;
        public float* B;
        public nint Row;
        public nint Col;

        public readonly void Run(long start, long end, long chunk) =>
            Source.CopyColumns((int)start, (int)end, B + (nint)start * Col, Row, Col);
    }
}
