namespace Delora.Kernels;

/// <summary>Which operand a <see cref="GemmProblem.Filter"/> changes.</summary>
public enum GemmFilterTarget
{
    /// <summary>None.</summary>
    None,

    /// <summary>The left operand A, [M, K]; in a product with a low-rank branch only the A that the branch sees.</summary>
    Left,

    /// <summary>The right operand B, [K, N]; only in products without a packed operand and without a low-rank branch.</summary>
    Right,

    /// <summary>
    /// The product H·Q of the low-rank branch, [M, N], before it is added to the rest. A rank above 384 is filtered in parts.
    /// </summary>
    LowRank,
}

/// <summary>
/// One single-precision product, or a batch of them: <c>C[M,N] = A[M,K]·B[K,N] (+ bias[N]) (+ C)</c>. A and B are given by a pointer and
/// the distances between rows and between columns, so that NN, NT and TN are the same product; the rows of C have unit stride.
/// With <see cref="Rank"/> &gt; 0 a low-rank branch is added in the same pass, as r more steps along K:
/// <c>H[M,r] = A·P[K,r]</c>, <c>C = [A | H]·[B ; Q[r,N]] (+ bias) (+ C)</c>. All distances are in floats.
/// </summary>
public unsafe struct GemmProblem
{
    /// <summary>A single product; everything else is to be set.</summary>
    public GemmProblem()
    {
    }

    /// <summary>Rows of C.</summary>
    public int M;

    /// <summary>Columns of C.</summary>
    public int N;

    /// <summary>Inner dimension. With 0 the product is 0.</summary>
    public int K;

    /// <summary>Number of products, 1 unless set.</summary>
    public int Batch = 1;

    /// <summary>Left operand.</summary>
    public float* A;

    /// <summary>Distance between rows of A.</summary>
    public nint ARow;

    /// <summary>Distance between columns of A.</summary>
    public nint ACol;

    /// <summary>Distance between the left operands of a batch.</summary>
    public nint ABatch;

    /// <summary>Right operand; not looked at when it is given as panels.</summary>
    public float* B;

    /// <summary>Distance between rows of B.</summary>
    public nint BRow;

    /// <summary>Distance between columns of B.</summary>
    public nint BCol;

    /// <summary>Distance between the right operands of a batch.</summary>
    public nint BBatch;

    /// <summary>The right operand packed beforehand, shared by all elements of a batch.</summary>
    public PackedMatrix Packed;

    /// <summary>The right operand as panels of any storage, read in either direction; not with a batch.</summary>
    internal StoredPanels Stored;

    /// <summary>Whether the right operand is given as panels.</summary>
    internal readonly bool HasPanels => Packed.Data != null || Stored.Data != null;

    /// <summary>Result. Must not overlap an operand.</summary>
    public float* C;

    /// <summary>Distance between rows of C.</summary>
    public nint CRow;

    /// <summary>Distance between the results of a batch.</summary>
    public nint CBatch;

    /// <summary>N floats added to each row, or null.</summary>
    public float* Bias;

    /// <summary>Whether the product is added to what C holds.</summary>
    public bool Accumulate;

    /// <summary>Rank r of the low-rank branch; 0 for none. Not with a batch.</summary>
    public int Rank;

    /// <summary>Down projection [K, r].</summary>
    public float* P;

    /// <summary>Distance between rows of P.</summary>
    public nint PRow;

    /// <summary>Distance between columns of P.</summary>
    public nint PCol;

    /// <summary>Up projection [r, N].</summary>
    public float* Q;

    /// <summary>Distance between rows of Q.</summary>
    public nint QRow;

    /// <summary>Distance between columns of Q.</summary>
    public nint QCol;

    /// <summary>Receives H = A·P, [M, r] with unit column stride.</summary>
    public float* H;

    /// <summary>Distance between rows of H.</summary>
    public nint HRow;

    /// <summary>What <see cref="Filter"/> changes.</summary>
    public GemmFilterTarget FilterTarget;

    /// <summary>
    /// Changes a block of an operand in place on its way into the product, as a dropout mask does:
    /// (<see cref="FilterState"/>, block, distance between its rows, first row, first column, rows, columns). Must be linear and depend
    /// on the position of an element alone. Not with a batch.
    /// </summary>
    public delegate*<void*, float*, nint, long, long, int, int, void> Filter;

    /// <summary>First argument of <see cref="Filter"/>.</summary>
    public void* FilterState;

    /// <summary>
    /// Makes something of a block of C that is complete, by whoever completed it: (<see cref="FinishState"/>, block, distance between its rows, rows,
    /// columns). Null for nothing. Every element is in one such block. Not where C is accumulated.
    /// </summary>
    internal delegate*<void*, float*, nint, int, int, void> Finish;

    /// <summary>First argument of <see cref="Finish"/>.</summary>
    internal void* FinishState;

    /// <summary>Says that rows of C, from <paramref name="c"/> on, are complete.</summary>
    internal readonly void Complete(float* c, int rows, int columns)
    {
        if (Finish != null) Finish(FinishState, c, CRow, rows, columns);
    }

    /// <summary>Where the batch is cut from one product's K: the whole K, of which the last element gets what is left. Else 0.</summary>
    internal int WholeK;

    /// <summary>K of one element of the batch.</summary>
    internal readonly int KOf(long element) => WholeK == 0 ? K : (int)Math.Min(K, WholeK - element * K);
}
