using System.Runtime.CompilerServices;

namespace Delora.Kernels;

/// <summary>Reading panels as a micro-kernel wants them.</summary>
internal readonly unsafe partial struct StoredPanels
{
    /// <summary>Floats of working memory that <see cref="ReadPanel"/> needs beside its result.</summary>
    public const int TileFloats = 32 * 32;

    /// <summary>
    /// Steps <paramref name="k0"/> … of the columns <paramref name="column"/> …: <c>panel[p·Nr + j]</c>, zeros beyond the last column. Read as they are
    /// kept, the steps lie in one block of K.
    /// </summary>
    /// <param name="k0">First step.</param>
    /// <param name="steps">How many.</param>
    /// <param name="column">First column, a multiple of Nr.</param>
    /// <param name="panel">Receives steps · Nr floats.</param>
    /// <param name="tile"><see cref="TileFloats"/> floats.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void ReadPanel<TKernel>(int k0, int steps, int column, float* panel, float* tile) where TKernel : struct, IMicroKernel
    {
        int nr = TKernel.Nr;
        if (!Transposed)
        {
            Read(column / nr, nr, k0, steps, panel);
            return;
        }
        // Steps are rows of W, and columns the steps of its panels: each tile of them is turned.
        int columns = Math.Min(nr, In - column);
        for (int p = 0; p < steps;)
        {
            int row = k0 + p, lane = row % nr, count = Math.Min(nr - lane, steps - p);
            float* from = Tile(row / nr, nr, column, columns, tile);
            TKernel.PackTransposed(from + lane, nr, columns, count, panel + p * nr, nr);
            p += count;
        }
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

    /// <summary>Steps of one panel and of one block of in, widened.</summary>
    private void Read(int panel, int nr, int step, int steps, float* destination)
    {
        int kc = Gemm.BlockOfK(In), k0 = step / kc * kc;
        byte* codes = Codes(panel, nr, k0, Math.Min(kc, In - k0), step - k0);
        switch (Storage)
        {
            case FrozenStorage.Float32:
                new ReadOnlySpan<float>(codes, steps * nr).CopyTo(new Span<float>(destination, steps * nr));
                break;
            case FrozenStorage.BFloat16: PanelDecoder.BFloat16((ushort*)codes, steps * nr, destination); break;
            case FrozenStorage.Float16: PanelDecoder.Float16((ushort*)codes, steps * nr, destination); break;
            case FrozenStorage.Int8: PanelDecoder.Int8((sbyte*)codes, steps, nr, PanelScales(panel, nr), destination); break;
            default: PanelDecoder.Nf4(codes, step, steps, nr, PanelScales(panel, nr), destination); break;
        }
    }
}
