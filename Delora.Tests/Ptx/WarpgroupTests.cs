using System.Globalization;
using System.Runtime.InteropServices;
using Delora.Tests.KernelCompilation;

namespace Delora.Tests.Ptx;

/// <summary>
/// Products of a warpgroup on tiles that come through tensor maps and barrier objects, with numbers that all differ, against float64: maps, swizzles and
/// descriptors must agree with each other.
/// </summary>
public sealed class WarpgroupTests
{
    // 64 × 64 numbers of A, 32 columns of B, 64 deep: rows of 128 bytes in 16 bits.
    private const int Rows = 64, Columns = 32;

    private const string Head = """
        .reg .b32 %r<16>; .reg .b64 %rd<16>; .reg .pred %p<4>; .reg .f32 %d<16>; .reg .b32 %a<4>;
        mov.u32 %r0, %tid.x; mov.u32 %r1, tile; mov.u32 %r2, bars; setp.eq.u32 %p1, %r0, 0;
        @%p1 mbarrier.init.shared.b64 [%r2], 1;
        fence.mbarrier_init.release.cluster;
        bar.sync 0;

        """;

    private const string Variables = ".extern .shared .align 1024 .b8 tile[];\n.shared .align 8 .b8 bars[16];\n";

    private const string Wait = """
        WAIT: mbarrier.try_wait.parity.shared.b64 %p2, [%r2], 0; @!%p2 bra WAIT;

        """;

    private static string Tile(string map, int bytes, string at, string x, string y) => $"""
        @%p1 mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%r2], {bytes};
        @%p1 cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [{at}], [{map}, {"{"}{x}, {y}{"}"}], [%r2];

        """;

    private static string Results => string.Join(", ", Enumerable.Range(0, 16).Select(i => $"%d{i}"));

    private static string Store() =>
        "shr.u32 %r5, %r0, 5; and.b32 %r6, %r0, 31; shr.u32 %r7, %r6, 2; mad.lo.u32 %r7, %r5, 16, %r7; and.b32 %r8, %r6, 3; shl.b32 %r8, %r8, 1;\n"
        + string.Concat(Enumerable.Range(0, 16).Select(i =>
            $"mad.lo.u32 %r9, %r7, {Columns}, %r8; mul.wide.u32 %rd9, %r9, 4; add.u64 %rd9, %rd9, y;\n"
            + $"st.global.f32 [%rd9+{4 * (8 * (i / 2 % 2) * Columns + 8 * (i / 4) + i % 2)}], %d{i};\n"));

    private static ulong Swizzle(string name) => name switch { "none" => 0UL, "128" => 1, "64" => 2, _ => 3 };

    private static double[] Numbers(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(i => (random.Next(2) * 2 - 1) * Math.ScaleB(64 + random.Next(64), -6 - i % 3))];
    }

    private static byte[] Encode(double[] values, string type) => type switch
    {
        "bf16" => MemoryMarshal.AsBytes<ushort>([.. values.Select(value => (ushort)(BitConverter.SingleToUInt32Bits((float)value) >> 16))]).ToArray(),
        "f16" => MemoryMarshal.AsBytes<Half>([.. values.Select(value => (Half)value)]).ToArray(),
        _ => MemoryMarshal.AsBytes<float>([.. values.Select(value => (float)value)]).ToArray(),
    };

    /// <summary>y = A·B for A of 64 rows and B of 32 columns, of which a tile of one pattern's width is loaded.</summary>
    private static void Check(string type, string swizzle, bool leftTransposed, bool rightTransposed, bool fromRegisters = false)
    {
        int size = type == "tf32" ? 4 : 2, width = int.Parse(swizzle, CultureInfo.InvariantCulture), depth = Math.Min(64, width / size), step = 32 / size;
        // A transposed operand lies with its 64 (32) lines along a row of memory, in patterns of the swizzle's width.
        double[] left = Numbers(Rows * depth, 1), right = Numbers(Columns * depth, 2);
        double L(int row, int k) => leftTransposed ? left[k * Rows + row] : left[row * depth + k];
        double R(int k, int column) => rightTransposed ? right[k * Columns + column] : right[column * depth + k];
        var bench = new PtxBench();
        PtxArray<byte> a = bench.Array<byte>(Encode(left, type)), b = bench.Array<byte>(Encode(right, type));
        PtxArray<float> y = bench.Array<float>(Rows * Columns);
        int Patterns(int lines) => lines * size / width;
        int[] leftBox = leftTransposed ? [width / size, depth] : [depth, Rows];
        int[] rightBox = rightTransposed ? [Math.Min(Columns, width / size), depth] : [depth, Columns];
        PtxSwizzle mode = swizzle switch { "128" => PtxSwizzle.Bytes128, "64" => PtxSwizzle.Bytes64, _ => PtxSwizzle.Bytes32 };
        PtxArray<byte> Map(PtxArray<byte> of, bool transposed, int lines, int[] box)
        {
            long[] sizes = transposed ? [lines, depth] : [depth, lines];
            return bench.Array<byte>(new PtxTensorMap(of.Address, size, sizes, [sizes[0] * size], box, mode).Encode());
        }
        PtxArray<byte> leftMap = Map(a, leftTransposed, Rows, leftBox), rightMap = Map(b, rightTransposed, Columns, rightBox);
        int leftTiles = leftTransposed ? Patterns(Rows) : 1, rightTiles = rightTransposed ? Math.Max(1, Patterns(Columns)) : 1;
        int leftBytes = leftBox[0] * leftBox[1] * size, rightBytes = rightBox[0] * rightBox[1] * size;
        int rightStart = (leftTiles * leftBytes + 1023) / 1024 * 1024;
        string loads = "";
        for (int i = 0; i < leftTiles; i++)
            loads += $"mov.u32 %r3, {i * leftBox[0]}; mov.u32 %r4, 0; add.u32 %r10, %r1, {i * leftBytes};\n"
                + Tile("p", leftBytes, "%r10", leftTransposed ? "%r3" : "%r4", "%r4");
        for (int i = 0; i < rightTiles; i++)
            loads += $"mov.u32 %r3, {i * rightBox[0]}; mov.u32 %r4, 0; add.u32 %r10, %r1, {rightStart + i * rightBytes};\n"
                + Tile("q", rightBytes, "%r10", rightTransposed ? "%r3" : "%r4", "%r4");
        // The pattern: rows of the width, eight of them; transposed, SBO leads from eight of k to the next, LBO from one pattern of lines to the next.
        ulong fields = Swizzle(swizzle) << 62 | (ulong)(8 * width / 16) << 32;
        ulong leftFields = fields | (ulong)(leftTransposed ? leftBytes / 16 : 1) << 16;
        ulong rightFields = fields | (ulong)(rightTransposed ? rightBytes / 16 : 1) << 16;
        string body = "";
        for (int k = 0; k < depth; k += step)
        {
            // A step along k: 32 bytes of a row, or 16 rows of patterns.
            int leftAt = leftTransposed ? k * width : k * size, rightAt = rightTransposed ? k * width : k * size;
            string source = fromRegisters ? "{%a0, %a1, %a2, %a3}" : "%rd1";
            string transposes = type == "tf32" ? "" : fromRegisters ? $", {(rightTransposed ? 1 : 0)}"
                : $", {(leftTransposed ? 1 : 0)}, {(rightTransposed ? 1 : 0)}";
            body += $"""
                add.u32 %r10, %r1, {leftAt}; shr.u32 %r10, %r10, 4; cvt.u64.u32 %rd1, %r10; or.b64 %rd1, %rd1, 0x{leftFields:x};
                add.u32 %r10, %r1, {rightStart + rightAt}; shr.u32 %r10, %r10, 4; cvt.u64.u32 %rd2, %r10; or.b64 %rd2, %rd2, 0x{rightFields:x};
                {(fromRegisters ? Fragments(k, depth, size) : "")}
                setp.ne.u32 %p3, {k}, 0;
                {(k == 0 || fromRegisters ? "wgmma.fence.sync.aligned;" : "")}
                wgmma.mma_async.sync.aligned.m64n{Columns}k{step}.f32.{type}.{type} {"{"}{Results}{"}"}, {source}, %rd2, %p3, 1, -1{transposes};
                {(fromRegisters ? "wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;" : "")}

                """;
        }
        string text = PtxBench.Text("abpqy", Head + loads + "@%p1 mbarrier.arrive.shared.b64 _, [%r2];\n" + Wait + body
            + "wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;\n" + Store(), "sm_90a", Variables);
        NvidiaAssembler.Check(text);
        bench.Launch(text, PtxBench.Shape(1, 128, rightStart + rightTiles * rightBytes + 1024), a, b, leftMap, rightMap, y);
        for (int row = 0; row < Rows; row++)
            for (int column = 0; column < Columns; column++)
            {
                double sum = 0;
                for (int k = 0; k < depth; k++) sum -= L(row, k) * R(k, column);
                Assert.Equal(sum, y[row * Columns + column], 1e-3);
            }
    }

    /// <summary>Loads the four registers of A at a step along k from global memory, where its rows lie one after the other.</summary>
    private static string Fragments(int k, int depth, int size)
    {
        string text = "shr.u32 %r5, %r0, 5; and.b32 %r6, %r0, 31; shr.u32 %r7, %r6, 2; mad.lo.u32 %r7, %r5, 16, %r7; and.b32 %r8, %r6, 3;\n"
            + $"mul.lo.u32 %r9, %r7, {depth * size}; mad.lo.u32 %r9, %r8, 4, %r9; cvt.u64.u32 %rd9, %r9; add.u64 %rd9, %rd9, a;\n";
        for (int r = 0; r < 4; r++) text += $"ld.global.b32 %a{r}, [%rd9+{(r & 1) * 8 * depth * size + (r >> 1) * 16 + k * size}];\n";
        return text;
    }

    [Theory]
    [InlineData("bf16", "128"), InlineData("bf16", "64"), InlineData("bf16", "32"), InlineData("f16", "128")]
    [InlineData("tf32", "128"), InlineData("tf32", "64")]
    public void ProductsOfTilesAlongK(string type, string swizzle) => Check(type, swizzle, false, false);

    [Theory]
    [InlineData("bf16", "128", true, false), InlineData("bf16", "64", false, true), InlineData("f16", "64", true, true), InlineData("bf16", "32", true, true)]
    public void ProductsOfTransposedTiles(string type, string swizzle, bool left, bool right) => Check(type, swizzle, left, right);

    [Theory, InlineData("bf16"), InlineData("tf32")]
    public void TheLeftMatrixInRegisters(string type) => Check(type, "128", false, false, true);

    private const string Bulk = """
        @%p1 mbarrier.arrive.expect_tx.shared.b64 _, [%r2], 512;
        @%p1 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [a], 512, [%r2];

        """;

    private const string Sum = "mad.lo.u32 %r3, %r0, 4, %r1; ld.shared.u32 %r4, [%r3];\n"
        + "mul.wide.u32 %rd1, %r0, 4; add.u64 %rd1, %rd1, y; st.global.u32 [%rd1], %r4;";

    [Fact]
    public void BulkCopiesAreThereAfterTheWait()
    {
        var bench = new PtxBench();
        uint[] numbers = [.. Enumerable.Range(3, 128).Select(i => (uint)i)];
        PtxArray<uint> a = bench.Array<uint>(numbers), y = bench.Array<uint>(128);
        string text = PtxBench.Text("ay", Head + Bulk + Wait + Sum, "sm_90a", Variables);
        NvidiaAssembler.Check(text);
        bench.Launch(text, PtxBench.Shape(2, 128, 1024), a, y);
        Assert.Equal(numbers, y.Span.ToArray());
        Assert.Throws<RaceFault>(() => bench.Launch(PtxBench.Text("ay", Head + Bulk + Sum, "sm_90a", Variables), PtxBench.Shape(1, 32, 1024), a, y));
    }

    [Fact]
    public void WhatIsOutsideOfATensorIsZero()
    {
        var bench = new PtxBench();
        float[] numbers = [.. Enumerable.Range(1, 15).Select(i => (float)i)];
        PtxArray<float> a = bench.Array<float>(numbers), y = bench.Array<float>(128);
        // 5 × 3 numbers in rows of 20 bytes do not suit a card (16 bytes are needed): the machine lets them pass, as this is about the edges.
        PtxArray<byte> map = bench.Array<byte>(new PtxTensorMap(a.Address, 4, [5, 3], [20], [16, 8], PtxSwizzle.None).Encode());
        string load = "mov.u32 %r3, -2; mov.u32 %r4, -1;\n" + Tile("p", 512, "%r1", "%r3", "%r4") + "@%p1 mbarrier.arrive.shared.b64 _, [%r2];\n";
        bench.Launch(PtxBench.Text("apy", Head + load + Wait + Sum, "sm_90a", Variables), PtxBench.Shape(1, 128, 1024), a, map, y);
        for (int row = 0; row < 8; row++)
            for (int column = 0; column < 16; column++)
                Assert.Equal(row is >= 1 and < 4 && column is >= 2 and < 7 ? numbers[(row - 1) * 5 + column - 2] : 0, y[row * 16 + column]);
    }

    private static T Fails<T>(string body, int threads = 128) where T : PtxFault
    {
        var bench = new PtxBench();
        string text = PtxBench.Text("y", Head + body, "sm_90a", Variables);
        return Assert.ThrowsAny<T>(() => bench.Launch(text, PtxBench.Shape(1, threads, 16384), bench.Array<float>(2048)));
    }

    // Each thread fills a row of 128 bytes.
    private static readonly string s_zeros = "mad.lo.u32 %r3, %r0, 128, %r1; mov.u32 %r4, 0;\n"
        + string.Concat(Enumerable.Range(0, 8).Select(i => $"st.shared.v4.u32 [%r3+{16 * i}], {{%r4, %r4, %r4, %r4}};\n"));

    private static string Product(int start = 0) => $"""
        shr.u32 %r10, %r1, 4; cvt.u64.u32 %rd1, %r10; or.b64 %rd1, %rd1, 0x4000004000010000; setp.ne.u32 %p3, {start}, 0;
        wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {"{"}{Results}{"}"}, %rd1, %rd1, %p3, 1, 1, 0, 0;
        wgmma.commit_group.sync.aligned;

        """;

    [Fact]
    public void AsynchronousProductsAreGuarded()
    {
        const string End = "wgmma.wait_group.sync.aligned 0;\n";
        string ready = s_zeros + "fence.proxy.async.shared::cta;\nbar.sync 0;\nwgmma.fence.sync.aligned;\n";
        var bench = new PtxBench();
        string right = PtxBench.Text("y", Head + ready + Product() + End + Store(), "sm_90a", Variables);
        NvidiaAssembler.Check(right);
        PtxArray<float> y = bench.Array<float>(2048);
        bench.Launch(right, PtxBench.Shape(1, 128, 16384), y);
        Assert.Contains("was not waited for", Fails<UnwrittenRegisterFault>(ready + Product() + Store()).Message, StringComparison.Ordinal);
        Fails<UnwrittenRegisterFault>(ready + Product() + End.Replace('0', '1') + Store());
        Fails<UnwrittenRegisterFault>(ready + Product(1) + End + Store());
        Fails<RaceFault>(ready.Replace("wgmma.fence.sync.aligned;", "", StringComparison.Ordinal) + Product() + End);
        Assert.Contains("fence.proxy.async", Fails<RaceFault>(ready.Replace("fence.proxy.async.shared::cta;", "", StringComparison.Ordinal) + Product()
            + End).Message, StringComparison.Ordinal);
        Fails<PtxFault>(ready.Replace("bar.sync 0;", "", StringComparison.Ordinal) + Product() + End);
        // Nobody may write what a product still reads.
        Fails<RaceFault>(ready + Product() + "st.shared.u32 [%r3], %r4;\n" + End);
        Fails<DivergentCollectiveFault>(ready + Product() + End, 96);
    }

    [Fact]
    public void BarrierObjectsAreGuarded()
    {
        Fails<BarrierFault>("mbarrier.arrive.shared.b64 %rd1, [%r2], 2;");
        Fails<BarrierFault>("@%p1 mbarrier.init.shared.b64 [%r2], 1;");
        Fails<BarrierFault>("@%p1 mbarrier.arrive.shared.b64 %rd1, [%r2+8];");
        Fails<BarrierFault>("@%p1 mbarrier.inval.shared.b64 [%r2]; @%p1 mbarrier.arrive.shared.b64 %rd1, [%r2];");
        Fails<UnwrittenMemoryFault>("ld.shared.u64 %rd1, [%r2];");
        Fails<RaceFault>("@%p1 mbarrier.init.shared.b64 [%r2+8], 128;\nmbarrier.arrive.shared.b64 %rd1, [%r2+8];", 32);
    }
}
