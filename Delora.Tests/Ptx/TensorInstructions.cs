namespace Delora.Tests.Ptx;

/// <summary>
/// Products of a warp on tensor cores (PTX ISA, "mma" and the sections "Matrix Fragments for mma.…"), with float32 accumulators. The machine adds the exact
/// products to the accumulator one after the other, along k, and rounds to float32 each time; cards add in another order, and cut digits off.
/// </summary>
internal static class TensorInstructions
{
    internal static IEnumerable<(string, Func<PtxDecoder, PtxOp>)> All() => [("mma", Decode)];

    private static PtxOp Decode(PtxDecoder d)
    {
        d.Need("sync");
        d.Need("aligned");
        string shape = d.OneOf("m16n8k16", "m16n8k8", "m16n8k4") ?? throw d.Error("the shape is not known");
        d.Need("row");
        d.Need("col");
        PtxType result = d.Type(), a = d.Type(), b = d.Type(), c = d.Type();
        int depth = int.Parse(shape.AsSpan(6), System.Globalization.CultureInfo.InvariantCulture);
        bool fits = a == PtxType.Tf32 ? depth <= 8 : a is PtxType.F16 or PtxType.Bf16 && depth >= 8;
        if (result != PtxType.F32 || c != PtxType.F32 || a != b || !fits) throw d.Error("this combination of shape and types is not known");
        d.Count(4);
        int registers = depth * (a == PtxType.Tf32 ? 4 : 2) / 8;
        return new MultiplyOp(
            d.Targets(0, 4, PtxType.F32), d.Sources(1, registers, PtxType.B32), d.Sources(2, registers / 2, PtxType.B32), d.Sources(3, 4, PtxType.F32),
            a, depth);
    }

    /// <summary>A number of a matrix from its bits; of tf32 the lower 13 bits are ignored.</summary>
    internal static float Element(ulong bits, PtxType type) => type switch
    {
        PtxType.F16 => Float16Format.Read(bits & 0xFFFF),
        PtxType.Bf16 => BFloat16Format.Read(bits & 0xFFFF),
        _ => Bits.Single(bits & 0xFFFFE000),
    };

    /// <summary>
    /// Row and column in A, 16 rows, of the i-th number of a lane: 16-bit numbers lie in pairs along k, the pairs at 0–7 and those at 8–15 of k in registers
    /// of their own, as do rows 0–7 and 8–15. B, transposed, is like the upper half of it.
    /// </summary>
    internal static (int Row, int Column) Place(int lane, int i, bool inPairs)
    {
        int register = inPairs ? i / 2 : i;
        int row = lane / 4 + 8 * (register & 1);
        return inPairs ? (row, lane % 4 * 2 + (i & 1) + 8 * (register >> 1)) : (row, lane % 4 + 4 * (register >> 1));
    }

    private sealed unsafe class MultiplyOp(int[] result, int[] a, int[] b, int[] c, PtxType type, int depth) : WarpCollectiveOp
    {
        protected override void Run(PtxWarp warp, uint mask)
        {
            float* left = stackalloc float[16 * 16], right = stackalloc float[8 * 16], sums = stackalloc float[16 * 8];
            bool inPairs = type != PtxType.Tf32;
            int numbers = inPairs ? 2 : 1;
            for (int r = 0; r < a.Length; r++)
            {
                ulong* x = warp.Read(a[r], mask);
                for (int lane = 0; lane < 32; lane++)
                    for (int i = r * numbers; i < (r + 1) * numbers; i++)
                    {
                        (int row, int k) = Place(lane, i, inPairs);
                        left[row * 16 + k] = Element(x[lane] >> (i % numbers * 16), type);
                    }
            }
            for (int r = 0; r < b.Length; r++)
            {
                ulong* x = warp.Read(b[r], mask);
                for (int lane = 0; lane < 32; lane++)
                    for (int i = 0; i < numbers; i++)
                    {
                        // As in A, but every register has the same rows.
                        (int column, int k) = Place(lane, 2 * r * numbers + i, inPairs);
                        right[column * 16 + k] = Element(x[lane] >> (i * 16), type);
                    }
            }
            for (int r = 0; r < 4; r++)
            {
                ulong* x = warp.Read(c[r], mask);
                for (int lane = 0; lane < 32; lane++) sums[Accumulator(lane, r)] = Bits.Single(x[lane]);
            }
            for (int row = 0; row < 16; row++)
                for (int column = 0; column < 8; column++)
                {
                    float sum = sums[row * 8 + column];
                    for (int k = 0; k < depth; k++) sum += left[row * 16 + k] * right[column * 16 + k];
                    sums[row * 8 + column] = sum;
                }
            for (int r = 0; r < 4; r++)
            {
                ulong* y = warp.Write(result[r], mask);
                for (int lane = 0; lane < 32; lane++) y[lane] = Bits.Of(sums[Accumulator(lane, r)]);
            }
        }

        private static int Accumulator(int lane, int i) => (lane / 4 + 8 * (i / 2)) * 8 + lane % 4 * 2 + i % 2;
    }
}
