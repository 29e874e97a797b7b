using System.Runtime.CompilerServices;

namespace Delora.Kernels;

/// <summary>Right operands that are panels already: stored ones are widened a panel at a time, and few rows are multiplied without register tiles.</summary>
internal unsafe partial struct GemmTiles<TKernel>
{
    /// <summary>Steps of a panel that few rows pass at a time: they stay in L1.</summary>
    private const int FewSteps = 64;

    /// <summary>
    /// Columns of turned panels that are read together: so many neighbors lie together in each panel that is turned, and the cache holds them.
    /// </summary>
    public const int TurnedColumns = 256;

    /// <summary>As <see cref="Macro"/>, over stored panels: each is read once for all rows of the tile, and stays near while they pass.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void MacroStored(
        int rows, int columns, int k0, int k, float* a, int thin, int j0, float* c, float* bias, bool accumulate, int k2, float* a2, float* b2,
        float* panel)
    {
        int nr = TKernel.Nr, width = P.Stored.Transposed ? TurnedColumns : nr;
        for (int j = 0; j < columns; j += width, b2 += (nint)width * k2)
        {
            int part = Math.Min(width, columns - j);
            nint size = width == nr ? 0 : (nint)nr * k;
            P.Stored.ReadPanels<TKernel>(k0, k, j0 + j, part, panel, Tile(panel));
            Macro(
                rows, part, k, a, thin, panel, size, nr, c + j, P.CRow, bias == null ? null : bias + j, accumulate, k2, a2, b2);
        }
    }

    /// <summary>A tile of few rows. The sums have the bits of <see cref="Macro"/>'s.</summary>
    /// <param name="rows">At most <see cref="IMicroKernel.FewRows"/>.</param>
    /// <param name="columns">Columns of the tile.</param>
    /// <param name="k0">First step.</param>
    /// <param name="k">Steps.</param>
    /// <param name="a">First row of A from step k0 on.</param>
    /// <param name="aRow">Floats between rows of a.</param>
    /// <param name="aStep">Floats between steps of a.</param>
    /// <param name="b">The panels; null where they are stored ones.</param>
    /// <param name="j0">First column.</param>
    /// <param name="c">The tile.</param>
    /// <param name="bias">Biases of its columns, or null.</param>
    /// <param name="accumulate">Whether C is the base.</param>
    /// <param name="k2">Steps of the branch.</param>
    /// <param name="a2">Its packed rows.</param>
    /// <param name="b2">Its panels.</param>
    /// <param name="panel">Working memory.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Few(
        int rows, int columns, int k0, int k, float* a, nint aRow, nint aStep, float* b, int j0, float* c, float* bias, bool accumulate, int k2,
        float* a2, float* b2, float* panel)
    {
        int nr = TKernel.Nr;
        float* sums = stackalloc float[TKernel.FewRows * nr];
        // Nothing is gained by keeping what one row alone sees.
        bool inRegisters = rows == 1 && b == null && !P.Stored.Transposed;
        for (int j = 0; j < columns; j += nr, b2 += (nint)nr * k2)
        {
            new Span<float>(sums, rows * nr).Clear();
            for (int s = 0, steps; s < k; s += steps)
            {
                steps = inRegisters ? k : Math.Min(FewSteps, k - s);
                if (inRegisters)
                {
                    P.Stored.MultiplyRow(k0, k, j0 + j, a, aStep, sums);
                    continue;
                }
                float* part = panel;
                if (b == null)
                    P.Stored.ReadPanels<TKernel>(k0 + s, steps, j0 + j, Math.Min(nr, columns - j), panel, Tile(panel));
                else
                    part = b + (nint)j * k + (nint)s * nr;
                for (int i = 0; i < rows; i++)
                    TKernel.MultiplyRow(steps, a + i * aRow + s * aStep, aStep, part, sums + i * nr);
            }
            for (int i = 0; i < rows && k2 > 0; i++)
                TKernel.MultiplyRow(k2, a2 + i, TKernel.Mr, b2, sums + i * nr);
            StoreEdge(sums, nr, rows, Math.Min(nr, columns - j), c + j, P.CRow, bias == null ? null : bias + j, accumulate);
        }
    }

    /// <summary>The working memory behind that of the panels.</summary>
    private readonly float* Tile(float* panel) => panel + (nint)Kc * PanelColumns(P.Stored, NTile);

    /// <summary>Columns of panels that are there at a time.</summary>
    internal static int PanelColumns(StoredPanels stored, int nTile) => stored.Transposed ? Math.Min(TurnedColumns, nTile) : TKernel.Nr;
}
