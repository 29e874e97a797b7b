namespace Delora.Kernels;

/// <summary>
/// The innermost product of <see cref="Gemm"/>: a tile of C stays in registers while one panel of A (Mr rows, stored column by column) and
/// one of B (Nr columns, stored row by row) stream past. A panel is padded with zeros to its full width.
/// </summary>
internal unsafe interface IMicroKernel
{
    /// <summary>Rows of the register tile.</summary>
    static abstract int Mr { get; }

    /// <summary>Columns of the register tile.</summary>
    static abstract int Nr { get; }

    /// <summary>Rows of A that are packed at a time (over stored panels twice as many), a multiple of <see cref="Mr"/>.</summary>
    static abstract int Mc { get; }

    /// <summary>Up to so many rows over prepared panels, <see cref="MultiplyRow"/> for each is faster than a register tile.</summary>
    static abstract int FewRows { get; }

    /// <summary>Rows of the smaller register tile of <see cref="MultiplyThin"/>.</summary>
    static abstract int ThinRows { get; }

    /// <summary>Floats for each step of a narrow panel, which holds 8 columns of B, each number as often as it takes to fill a vector.</summary>
    static abstract int NarrowWidth { get; }

    /// <summary>
    /// C[Mr, Nr] = base + Σ_k a[k·Mr + i] · b[k·ldb + j], where base is C itself, or a bias for each column, or 0. The sum starts at 0
    /// and is added to the base at the end, so all three give the same rounding of the sum.
    /// </summary>
    /// <param name="k">Steps.</param>
    /// <param name="a">Panel of A.</param>
    /// <param name="b">Panel of B.</param>
    /// <param name="ldb">Floats between rows of b: Nr in a packed panel.</param>
    /// <param name="c">Tile of C.</param>
    /// <param name="ldc">Floats between rows of C.</param>
    /// <param name="bias">Nr floats, or null.</param>
    /// <param name="accumulate">Whether C is the base; the bias is then ignored.</param>
    /// <param name="prefetch">Data wanted soon: a cache line for every four steps is asked for. Any address will do.</param>
    /// <param name="k2">Further steps of the same sum over panels of their own, as a low-rank branch has them; 0 for none.</param>
    /// <param name="a2">Their panel of A.</param>
    /// <param name="b2">Their panel of B.</param>
    static abstract void Multiply(
        int k, float* a, float* b, nint ldb, float* c, nint ldc, float* bias, bool accumulate, float* prefetch, int k2, float* a2, float* b2);

    /// <summary>The same for <see cref="ThinRows"/> rows, which a panel of A then holds.</summary>
    /// <param name="k">Steps.</param>
    /// <param name="a">Panel of A.</param>
    /// <param name="b">First of Nr columns of B.</param>
    /// <param name="ldb">Floats between rows of b.</param>
    /// <param name="c">Tile of C.</param>
    /// <param name="ldc">Floats between rows of C.</param>
    /// <param name="bias">Nr floats, or null.</param>
    /// <param name="accumulate">Whether C is the base.</param>
    /// <param name="ahead">Floats from a row of b to the one to be asked for meanwhile.</param>
    /// <param name="k2">Further steps of the same sum over panels of their own; 0 for none.</param>
    /// <param name="a2">Their panel of A.</param>
    /// <param name="b2">Their panel of B.</param>
    static abstract void MultiplyThin(
        int k, float* a, float* b, nint ldb, float* c, nint ldc, float* bias, bool accumulate, nint ahead, int k2, float* a2, float* b2);

    /// <summary>
    /// One row: sums[Nr] += Σ_k a[k·step] · b[k·Nr + j], each sum a chain of fused additions in the order of k as in <see cref="Multiply"/>, so that a
    /// sum that is continued in parts has the same bits.
    /// </summary>
    /// <param name="k">Steps.</param>
    /// <param name="a">Row of A.</param>
    /// <param name="step">Floats between its elements.</param>
    /// <param name="b">Panel of B.</param>
    /// <param name="sums">Nr floats.</param>
    static abstract void MultiplyRow(int k, float* a, nint step, float* b, float* sums);

    /// <summary>C[Mr, 8] = base + A·B with a narrow panel of B.</summary>
    /// <param name="k">Steps.</param>
    /// <param name="a">Panel of A.</param>
    /// <param name="b">Narrow panel: <see cref="NarrowWidth"/> floats for each step.</param>
    /// <param name="c">Tile of C.</param>
    /// <param name="ldc">Floats between rows of C.</param>
    /// <param name="accumulate">Whether C is the base; else it is 0.</param>
    static abstract void MultiplyNarrow(int k, float* a, float* b, float* c, nint ldc, bool accumulate);

    /// <summary>The same for <see cref="ThinRows"/> rows, and with the same bits.</summary>
    /// <param name="k">Steps.</param>
    /// <param name="a">Thin panel of A.</param>
    /// <param name="b">Narrow panel.</param>
    /// <param name="c">Tile of C.</param>
    /// <param name="ldc">Floats between rows of C.</param>
    /// <param name="accumulate">Whether C is the base; else it is 0.</param>
    static abstract void MultiplyNarrowThin(int k, float* a, float* b, float* c, nint ldc, bool accumulate);

    /// <summary>
    /// Packs a panel with unit stride along k: <c>dst[k·width + i] = src[i·stride + k]</c>, zeros for count ≤ i &lt; width.
    /// <paramref name="width"/> is <see cref="Mr"/>, <see cref="ThinRows"/> or <see cref="Nr"/>.
    /// </summary>
    static abstract void PackTransposed(float* src, nint stride, int count, int k, float* dst, int width);
}
