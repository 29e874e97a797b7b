using System.Globalization;

namespace Delora.Tests.Ptx;

/// <summary>
/// Asynchronous products of four warps (PTX ISA, "wgmma"): each warp computes its 16 rows of 64. They are computed at once, in float32 and along k, and the
/// results count as not written until they are waited for.
/// </summary>
internal static class WarpgroupInstructions
{
    internal static IEnumerable<(string, Func<PtxDecoder, PtxOp>)> All() => [("wgmma", Decode), ("setmaxnreg", SetRegisters)];

    private static PtxOp SetRegisters(PtxDecoder d)
    {
        if (d.OneOf("inc", "dec") is null) throw d.Error("one of .inc and .dec is missing");
        d.Need("sync");
        d.Need("aligned");
        d.Need("u32");
        d.Count(1);
        return d.Operands[0] is { Kind: PtxOperandKind.Integer, Bits: >= 24 and <= 256 and var count } && count % 8 == 0
            ? new MomentOp(_ => { }) : throw d.Error("the number of registers is a multiple of 8 from 24 to 256");
    }

    private static PtxOp Decode(PtxDecoder d)
    {
        string what = d.OneOf("fence", "commit_group", "wait_group", "mma_async") ?? throw d.Error("the instruction is not known");
        d.Need("sync");
        d.Need("aligned");
        if (what == "mma_async") return Multiply(d);
        d.Count(what == "wait_group" ? 1 : 0);
        if (what == "fence") return new MomentOp(warp => warp.ProductsAreFenced = true);
        if (what == "commit_group") return new MomentOp(warp => warp.CommitProducts());
        int groups = d.Operands[0] is { Kind: PtxOperandKind.Integer, Bits: <= 7 } count ? (int)count.Bits : throw d.Error("the number of groups is no constant from 0 to 7");
        return new MomentOp(warp => warp.WaitForProducts(groups));
    }

    private static PtxOp Multiply(PtxDecoder d)
    {
        string? shape = null;
        for (int n = 8; n <= 256 && shape is null; n += 8)
            shape = d.OneOf(string.Create(CultureInfo.InvariantCulture, $"m64n{n}k16"), string.Create(CultureInfo.InvariantCulture, $"m64n{n}k8"));
        if (shape is null) throw d.Error("the shape is not known");
        int[] sizes = [.. shape[1..].Split('n', 'k').Select(size => int.Parse(size, CultureInfo.InvariantCulture))];
        PtxType result = d.Type(), a = d.Type(), b = d.Type();
        bool tf32 = a == PtxType.Tf32;
        if (result != PtxType.F32 || a != b || sizes[2] != (tf32 ? 8 : 16) || !(tf32 || a is PtxType.F16 or PtxType.Bf16)) throw d.Error("this combination of shape and types is not known");
        bool inRegisters = d.Operands.Length > 1 && d.Operands[1].Kind == PtxOperandKind.Vector;
        d.Count(6 + (tf32 ? 0 : inRegisters ? 1 : 2));
        int At(int index, int least) =>
            d.Operands[index] is { Kind: PtxOperandKind.Integer } number && (int)number.Bits is var value && (value == 1 || value == least)
                ? value : throw d.Error($"'{d.Operands[index]}' is neither 1 nor {least}");
        return new MultiplyOp
        {
            Targets = d.Targets(0, sizes[1] / 2, PtxType.F32),
            Left = inRegisters ? d.Sources(1, 4, PtxType.B32) : [d.Source(1, PtxType.B64)],
            Right = d.Source(2, PtxType.B64),
            Accumulates = d.PredicateSource(3),
            LeftSign = At(4, -1),
            RightSign = At(5, -1),
            LeftTransposed = !tf32 && !inRegisters && At(6, 0) == 1,
            RightTransposed = !tf32 && At(inRegisters ? 6 : 7, 0) == 1,
            Type = a,
            Columns = sizes[1],
            Depth = sizes[2],
        };
    }

    /// <summary>Something that all lanes of a warp do together.</summary>
    private sealed class MomentOp(Action<PtxWarp> action) : WarpCollectiveOp
    {
        protected override void Run(PtxWarp warp, uint mask) => action(warp);
    }

    private sealed unsafe class MultiplyOp : WarpCollectiveOp
    {
        internal required int[] Targets { get; init; }

        internal required int[] Left { get; init; }

        internal required int Right { get; init; }

        internal required PredicateSource Accumulates { get; init; }

        internal required int LeftSign { get; init; }

        internal required int RightSign { get; init; }

        internal required bool LeftTransposed { get; init; }

        internal required bool RightTransposed { get; init; }

        internal required PtxType Type { get; init; }

        internal required int Columns { get; init; }

        internal required int Depth { get; init; }

        protected override void Run(PtxWarp warp, uint mask)
        {
            if (warp.Group.WarpCount < warp.Index / 4 * 4 + 4) throw warp.Fault<DivergentCollectiveFault>(0, "there are no four warps for it");
            if (!warp.ProductsAreFenced) throw warp.Fault<RaceFault>(0, "no wgmma.fence came before");
            float[] left = new float[16 * Depth], right = new float[Columns * Depth];
            var product = new PtxProduct(Targets);
            if (Left.Length > 1) FromRegisters(warp, mask, left);
            else FromMemory(warp, Same(warp, mask, Left[0]), LeftTransposed, warp.Index % 4 * 16, 16, left, product);
            FromMemory(warp, Same(warp, mask, Right), RightTransposed, 0, Columns, right, product);
            uint adds = Accumulates.Read(warp, mask);
            if (adds != 0 && adds != mask) throw warp.Fault<DivergentCollectiveFault>(0, "lanes disagree about scale-d");
            int sign = LeftSign * RightSign;
            for (int i = 0; i < Targets.Length; i++)
            {
                // A result of a product before may be added to without waiting.
                if (adds != 0 && warp.Pending[Targets[i]] != uint.MaxValue) warp.Read(Targets[i], mask);
                ulong* y = warp.Registers + Targets[i] * 32;
                for (int lane = 0; lane < 32; lane++)
                {
                    ReadOnlySpan<float> row = left.AsSpan((lane / 4 + 8 * (i / 2 % 2)) * Depth, Depth);
                    ReadOnlySpan<float> column = right.AsSpan((i / 4 * 8 + lane % 4 * 2 + i % 2) * Depth, Depth);
                    float sum = adds != 0 ? Bits.Single(y[lane]) : 0;
                    for (int k = 0; k < row.Length; k++) sum += sign * row[k] * column[k];
                    y[lane] = Bits.Of(sum);
                }
            }
            warp.Add(product);
        }

        private static ulong Same(PtxWarp warp, uint mask, int slot)
        {
            ulong* x = warp.Read(slot, mask);
            for (int lane = 1; lane < 32; lane++)
                if (x[lane] != x[0]) throw warp.Fault<DivergentCollectiveFault>(lane, "lanes have different matrix descriptors");
            return x[0];
        }

        private void FromRegisters(PtxWarp warp, uint mask, float[] left)
        {
            bool inPairs = Type != PtxType.Tf32;
            int numbers = inPairs ? 2 : 1;
            for (int r = 0; r < Left.Length; r++)
            {
                ulong* x = warp.Read(Left[r], mask);
                for (int lane = 0; lane < 32; lane++)
                    for (int i = 0; i < numbers; i++)
                    {
                        (int row, int k) = TensorInstructions.Place(lane, r * numbers + i, inPairs);
                        left[row * Depth + k] = TensorInstructions.Element(x[lane] >> (16 * i), Type);
                    }
            }
        }

        private void FromMemory(PtxWarp warp, ulong bits, bool transposed, int first, int lines, float[] matrix, PtxProduct product)
        {
            var descriptor = new MatrixDescriptor(warp, bits, transposed);
            int size = Type == PtxType.Tf32 ? 4 : 2, ofChunk = 16 / size;
            // Lines and numbers of a line, the other way round where it is transposed.
            int outer = transposed ? Depth : lines, chunks = (transposed ? lines : Depth) / ofChunk;
            for (int line = 0; line < outer; line++)
                for (int chunk = 0; chunk < chunks; chunk++)
                {
                    ulong address = transposed ? descriptor.Chunk(line, first / ofChunk + chunk) : descriptor.Chunk(first + line, chunk);
                    byte* bytes = warp.Group.Shared.Locate(warp, 0, address, 16);
                    warp.Group.Shared.ReadAsync(warp, PtxAgents.OfProducts(warp) * 32, bytes, 16);
                    product.Reads.Add((nint)bytes);
                    for (int i = 0; i < ofChunk; i++)
                    {
                        float value = TensorInstructions.Element(size == 4 ? ((uint*)bytes)[i] : ((ushort*)bytes)[i], Type);
                        (int at, int k) = transposed ? (chunk * ofChunk + i, line) : (line, chunk * ofChunk + i);
                        matrix[at * Depth + k] = value;
                    }
                }
        }
    }
}

/// <summary>A product under way: the registers that it writes, and the chunks of 16 bytes that it reads.</summary>
internal sealed class PtxProduct(int[] targets)
{
    internal int[] Targets { get; } = targets;

    internal List<nint> Reads { get; } = [];
}

// The asynchronous products that a warp has under way.
internal sealed unsafe partial class PtxWarp
{
    private readonly List<List<PtxProduct>> _products = [];
    private List<PtxProduct> _uncommitted = [];

    /// <summary>Whether registers were handed over to products (<c>wgmma.fence</c>).</summary>
    internal bool ProductsAreFenced { get; set; }

    private void StartProducts()
    {
        Array.Clear(Pending);
        _products.Clear();
        _uncommitted = [];
        ProductsAreFenced = false;
    }

    internal void Add(PtxProduct product)
    {
        _uncommitted.Add(product);
        foreach (int slot in product.Targets) (Written[slot], Pending[slot]) = (0, uint.MaxValue);
    }

    internal void CommitProducts()
    {
        _products.Add(_uncommitted);
        _uncommitted = [];
    }

    /// <summary>All groups of products end but the last ones.</summary>
    internal void WaitForProducts(int groups)
    {
        int ended = Math.Max(0, _products.Count - groups);
        for (int i = 0; i < ended; i++)
            foreach (PtxProduct product in _products[i])
            {
                foreach (int slot in product.Targets) (Written[slot], Pending[slot]) = (uint.MaxValue, 0);
                foreach (nint bytes in product.Reads) Group.Shared.EndRead(this, PtxAgents.OfProducts(this) * 32, (byte*)bytes, 16);
            }
        _products.RemoveRange(0, ended);
        // What is still under way may have the same registers.
        foreach (PtxProduct product in _products.SelectMany(group => group).Concat(_uncommitted))
            foreach (int slot in product.Targets) (Written[slot], Pending[slot]) = (0, uint.MaxValue);
    }
}
