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

    /// <summary>Rows of A that are packed at a time, a multiple of <see cref="Mr"/>.</summary>
    static abstract int Mc { get; }

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
    static abstract void Multiply(int k, float* a, float* b, nint ldb, float* c, nint ldc, float* bias, bool accumulate, float* prefetch);

    /// <summary>
    /// Packs a panel with unit stride along k: <c>dst[k·width + i] = src[i·stride + k]</c>, zeros for count ≤ i &lt; width.
    /// <paramref name="width"/> is <see cref="Mr"/> or <see cref="Nr"/>.
    /// </summary>
    static abstract void PackTransposed(float* src, nint stride, int count, int k, float* dst, int width);
}
