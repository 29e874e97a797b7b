using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Delora.Kernels;

/// <summary>Reading panels as a micro-kernel wants them.</summary>
internal readonly unsafe partial struct StoredPanels
{
    /// <summary>Floats of working memory that <see cref="ReadPanels"/> needs beside its result.</summary>
    public const int TileFloats = 32 * 32;

    /// <summary>
    /// Steps <paramref name="k0"/> … of the columns <paramref name="column"/> …, panel by panel: <c>panels[(j / Nr)·Nr·steps + p·Nr + j % Nr]</c>, zeros beyond
    /// the last column. Read as they are kept, the steps lie in one block of K.
    /// </summary>
    /// <param name="k0">First step.</param>
    /// <param name="steps">How many.</param>
    /// <param name="column">First column, a multiple of Nr.</param>
    /// <param name="columns">How many.</param>
    /// <param name="panels">Receives steps · Nr floats for each panel.</param>
    /// <param name="tile"><see cref="TileFloats"/> floats.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void ReadPanels<TKernel>(int k0, int steps, int column, int columns, float* panels, float* tile) where TKernel : struct, IMicroKernel
    {
        int nr = TKernel.Nr;
        if (!Transposed)
        {
            for (int j = 0; j < columns; j += nr, panels += (nint)steps * nr) Read((column + j) / nr, nr, k0, steps, panels);
            return;
        }
        // Steps are rows of W, and columns the steps of its panels: each tile of them is turned. The tiles of a panel lie behind each other.
        columns = Math.Min(columns, In - column);
        for (int p = 0; p < steps;)
        {
            int row = k0 + p, lane = row % nr, count = Math.Min(nr - lane, steps - p);
            float* to = panels + p * nr;
            for (int j = 0; j < columns; j += nr, to += (nint)steps * nr)
            {
                int width = Math.Min(nr, columns - j);
                float* from = Tile(row / nr, nr, column + j, width, tile);
                if (j + nr < columns) Prefetch(row / nr, nr, column + j + nr, Math.Min(nr, columns - j - nr));
                else if (count < steps - p) Prefetch(row / nr + 1, nr, column, Math.Min(nr, columns));
                TKernel.PackTransposed(from + lane, nr, width, count, to, nr);
            }
            p += count;
        }
    }

    /// <summary>Asks for the next tile, which the processor does not see coming: it lies in another page.</summary>
    private void Prefetch(int panel, int nr, int step, int steps)
    {
        if (!Sse.IsSupported) return;
        int kc = Gemm.BlockOfK(In), k0 = step / kc * kc;
        byte* codes = Codes(panel, nr, k0, Math.Min(kc, In - k0), step - k0);
        nint bytes = steps * nr * BitsOf(Storage) / 8;
        for (nint i = 0; i < bytes; i += 64) Sse.Prefetch0(codes + i);
    }

    /// <summary>Steps of one panel as rows of Nr floats: where they lie, or in <paramref name="tile"/>.</summary>
    private float* Tile(int panel, int nr, int step, int steps, float* tile)
    {
        int kc = Gemm.BlockOfK(In), k0 = step / kc * kc;
        if (Storage == FrozenStorage.Float32 && step + steps <= k0 + kc)
            return (float*)Codes(panel, nr, k0, Math.Min(kc, In - k0), step - k0);
        for (int done = 0; done < steps;)
        {
            int at = step + done, part = Math.Min(steps - done, at / kc * kc + kc - at);
            Read(panel, nr, at, part, tile + done * nr);
            done += part;
        }
        return tile;
    }

    /// <summary>sums[Nr] += Σ a · steps <paramref name="k0"/> … of a panel, read as they are kept; they lie in one block of K.</summary>
    /// <param name="k0">First step.</param>
    /// <param name="steps">How many.</param>
    /// <param name="column">First column, a multiple of Nr.</param>
    /// <param name="a">A row, from step k0 on.</param>
    /// <param name="step">Floats between its elements.</param>
    /// <param name="sums">Nr floats.</param>
    public void MultiplyRow(int k0, int steps, int column, float* a, nint step, float* sums)
    {
        int nr = PackedMatrix.PanelWidth(Level);
        PanelDecoder.MultiplyRow(Storage, Level, Part(column / nr, nr, k0, steps), a, step, sums);
    }

    /// <summary>Steps of one panel and of one block of in, widened.</summary>
    private void Read(int panel, int nr, int step, int steps, float* destination) =>
        PanelDecoder.Widen(Storage, Level, Part(panel, nr, step, steps), destination);

    private PanelPart Part(int panel, int nr, int step, int steps)
    {
        int kc = Gemm.BlockOfK(In), k0 = step / kc * kc, block = BlockOf(Storage, In);
        return new()
        {
            Codes = Codes(panel, nr, k0, Math.Min(kc, In - k0), step - k0),
            First = step,
            Steps = steps,
            Scales = PanelScales(panel, nr),
            Block = block > 0 ? block : In,
        };
    }
}
