using System.Globalization;
using Delora.Tests.KernelCompilation;

namespace Delora.Tests.Ptx;

/// <summary>Products on tensor cores with numbers that all differ, against float64: a number in a wrong place fails.</summary>
public sealed class TensorTests
{
    private static readonly Random s_random = new(3);

    [Theory]
    [InlineData("m16n8k16", "bf16"), InlineData("m16n8k16", "f16"), InlineData("m16n8k8", "bf16"), InlineData("m16n8k8", "f16")]
    [InlineData("m16n8k8", "tf32"), InlineData("m16n8k4", "tf32")]
    public void ProductsOfAWarp(string shape, string type)
    {
        int depth = int.Parse(shape.AsSpan(6), CultureInfo.InvariantCulture), size = type == "tf32" ? 4 : 2;
        int registers = size == 2 ? depth / 4 : depth / 2;
        var bench = new PtxBench();
        double[] left = Numbers(16 * depth), right = Numbers(depth * 8), start = Numbers(128);
        PtxArray<byte> a = bench.Array<byte>(left.SelectMany(value => Encode(value, type)).ToArray());
        PtxArray<byte> b = bench.Array<byte>(right.SelectMany(value => Encode(value, type)).ToArray());
        PtxArray<float> c = bench.Array<float>(start.Select(value => (float)value).ToArray()), y = bench.Array<float>(128);
        // The lanes load their fragments number by number, as the tables of the PTX document say.
        string loads = "";
        int numbers = size == 2 ? 2 : 1;
        for (int r = 0; r < registers; r++)
            for (int i = 0; i < numbers; i++)
            {
                string column = size == 2 ? $"{8 * (r >> 1) + i}" : $"{4 * (r >> 1)}";
                loads += Load($"%a{r}", i, "a", $"{8 * (r & 1)}", "%g", column, size == 2 ? "%t2" : "%t", depth, size);
            }
        for (int r = 0; r < registers / 2; r++)
            for (int i = 0; i < numbers; i++)
                loads += Load($"%b{r}", i, "b", size == 2 ? $"{8 * r + i}" : $"{4 * r}", size == 2 ? "%t2" : "%t", "0", "%g", 8, size);
        for (int i = 0; i < 4; i++) loads += Load($"%c{i}", 0, "c", $"{8 * (i / 2)}", "%g", $"{i % 2}", "%t2", 8, 4);
        string stores = "";
        for (int i = 0; i < 4; i++) stores += Address("y", $"{8 * (i / 2)}", "%g", $"{i % 2}", "%t2", 8, 4) + $"st.global.b32 [%rd], %c{i};\n";
        string List(string name, int count) => "{" + string.Join(", ", Enumerable.Range(0, count).Select(i => $"%{name}{i}")) + "}";
        string text = PtxBench.Text("abcy", $"""
            .reg .b32 %r<8>; .reg .b32 %g, %t, %t2, %lo, %hi; .reg .b32 %a<4>; .reg .b32 %b<2>; .reg .f32 %c<4>; .reg .b64 %rd; .reg .b16 %h<2>;
            mov.u32 %r1, %laneid; shr.u32 %g, %r1, 2; and.b32 %t, %r1, 3; shl.b32 %t2, %t, 1;
            {loads}
            mma.sync.aligned.{shape}.row.col.f32.{type}.{type}.f32 {List("c", 4)}, {List("a", registers)}, {List("b", registers / 2)}, {List("c", 4)};
            {stores}
            """);
        NvidiaAssembler.Check(text);
        bench.Launch(text, PtxBench.Shape(1, 32), a, b, c, y);
        for (int row = 0; row < 16; row++)
            for (int column = 0; column < 8; column++)
            {
                double sum = start[row * 8 + column];
                for (int k = 0; k < depth; k++) sum += left[row * depth + k] * right[k * 8 + column];
                Assert.Equal(sum, y[row * 8 + column], 1e-4);
            }
    }

    private static string Address(string array, string row, string rowRegister, string column, string columnRegister, int stride, int size) =>
        $"add.u32 %r2, {rowRegister}, {row}; add.u32 %r3, {columnRegister}, {column};\n"
        + $"mad.lo.u32 %r4, %r2, {stride}, %r3; mul.wide.u32 %rd, %r4, {size}; add.u64 %rd, %rd, {array};\n";

    private static string Load(string register, int half, string array, string row, string rowRegister, string column, string columnRegister, int stride,
        int size) =>
        Address(array, row, rowRegister, column, columnRegister, stride, size)
        + (size == 4 ? $"ld.global.b32 {register}, [%rd];\n" : $"ld.global.b16 %h{half}, [%rd];\n" + (half == 1 ? $"mov.b32 {register}, {{%h0, %h1}};\n" : ""));

    /// <summary>Numbers that all types hold exactly and that differ: of seven bits, with random signs.</summary>
    private static double[] Numbers(int count)
    {
        lock (s_random)
            return [.. Enumerable.Range(0, count).Select(i => (s_random.Next(2) * 2 - 1) * Math.ScaleB(64 + s_random.Next(64), -6 - i % 3))];
    }

    private static byte[] Encode(double value, string type) => type switch
    {
        "bf16" => BitConverter.GetBytes((ushort)(BitConverter.SingleToUInt32Bits((float)value) >> 16)),
        "f16" => BitConverter.GetBytes((Half)value),
        _ => BitConverter.GetBytes((float)value),
    };

    [Theory, InlineData(""), InlineData(".trans")]
    public void MatricesOfAWarpAreLoadedAndStored(string trans)
    {
        var bench = new PtxBench();
        ushort[] numbers = [.. Enumerable.Range(0, 256).Select(i => (ushort)(i * 257 + 3))];
        PtxArray<ushort> a = bench.Array<ushort>(numbers), y = bench.Array<ushort>(256), z = bench.Array<ushort>(256);
        string text = PtxBench.Text("ayz", $$"""
            .shared .align 16 .b8 s[512]; .shared .align 16 .b8 t[512];
            .reg .b32 %r<16>; .reg .b64 %rd<8>;
            mov.u32 %r1, %tid.x; mul.wide.u32 %rd1, %r1, 16; add.u64 %rd2, %rd1, a; mov.u32 %r2, s; mad.lo.u32 %r2, %r1, 16, %r2;
            ld.global.v4.u32 {%r4, %r5, %r6, %r7}, [%rd2]; st.shared.v4.u32 [%r2], {%r4, %r5, %r6, %r7};
            bar.warp.sync -1;
            ldmatrix.sync.aligned.m8n8.x4{{trans}}.shared.b16 {%r4, %r5, %r6, %r7}, [%r2];
            mul.wide.u32 %rd3, %r1, 4; add.u64 %rd4, %rd3, y;
            st.global.u32 [%rd4], %r4; st.global.u32 [%rd4+128], %r5; st.global.u32 [%rd4+256], %r6; st.global.u32 [%rd4+384], %r7;
            mov.u32 %r3, t; mad.lo.u32 %r3, %r1, 16, %r3;
            stmatrix.sync.aligned.m8n8.x4{{trans}}.shared.b16 [%r3], {%r4, %r5, %r6, %r7};
            bar.warp.sync -1;
            ld.shared.v4.u32 {%r4, %r5, %r6, %r7}, [%r3]; add.u64 %rd5, %rd1, z; st.global.v4.u32 [%rd5], {%r4, %r5, %r6, %r7};
            """);
        NvidiaAssembler.Check(text);
        bench.Launch(text, PtxBench.Shape(1, 32), a, y, z);
        for (int matrix = 0; matrix < 4; matrix++)
            for (int lane = 0; lane < 32; lane++)
                for (int half = 0; half < 2; half++)
                {
                    (int row, int column) = (lane / 4, lane % 4 * 2 + half);
                    if (trans.Length > 0) (row, column) = (column, row);
                    Assert.Equal(numbers[matrix * 64 + row * 8 + column], y[matrix * 64 + lane * 2 + half]);
                }
        Assert.Equal(numbers, z.Span.ToArray());
    }

    private const string Copy = """
        .shared .align 16 .b8 s[512]; .reg .b32 %r<8>; .reg .b64 %rd<4>; .reg .pred %p;
        mov.u32 %r1, %tid.x; mul.wide.u32 %rd1, %r1, 16; add.u64 %rd2, %rd1, a; mov.u32 %r2, s; mad.lo.u32 %r2, %r1, 16, %r2;
        mov.u32 %r3, %r1; min.u32 %r3, %r3, 16;
        cp.async.cg.shared.global [%r2], [%rd2], 16, %r3;
        cp.async.commit_group;

        """;

    private const string Store = "ld.shared.v4.u32 {%r4, %r5, %r6, %r7}, [%r2]; add.u64 %rd3, %rd1, y; st.global.v4.u32 [%rd3], {%r4, %r5, %r6, %r7};";

    [Theory, InlineData("cp.async.wait_group 0;"), InlineData("cp.async.wait_all;"), InlineData("cp.async.commit_group; cp.async.wait_group 1;")]
    public void CopiesArriveWhenTheyAreWaitedFor(string wait)
    {
        var bench = new PtxBench();
        byte[] bytes = [.. Enumerable.Range(0, 512).Select(i => (byte)(i * 7 + 1))];
        PtxArray<byte> a = bench.Array<byte>(bytes), y = bench.Array<byte>(512);
        string text = PtxBench.Text("ay", Copy + wait + Store);
        NvidiaAssembler.Check(text);
        bench.Launch(text, PtxBench.Shape(1, 32), a, y);
        for (int i = 0; i < 512; i++) Assert.Equal(i % 16 < i / 16 ? bytes[i] : 0, y[i]);
    }

    [Theory, InlineData(""), InlineData("bar.sync 0;"), InlineData("cp.async.wait_group 1;")]
    public void CopiesThatNobodyHasWaitedForAreNotThere(string wait)
    {
        var bench = new PtxBench();
        Assert.Throws<UnwrittenMemoryFault>(() => bench.Launch(PtxBench.Text("ay", Copy + wait + Store), PtxBench.Shape(1, 32), bench.Array<byte>(512),
            bench.Array<byte>(512)));
    }

    [Fact]
    public void OthersSeeACopyOnlyAfterABarrier()
    {
        var bench = new PtxBench();
        string text = PtxBench.Text("ay", Copy + "cp.async.wait_all; xor.b32 %r2, %r2, 16;" + Store);
        Assert.Throws<RaceFault>(() => bench.Launch(text, PtxBench.Shape(1, 32), bench.Array<byte>(512), bench.Array<byte>(512)));
        bench.Launch(text.Replace("wait_all;", "wait_all; bar.sync 0;", StringComparison.Ordinal), PtxBench.Shape(1, 32), bench.Array<byte>(512),
            bench.Array<byte>(512));
    }

    [Fact]
    public void ACopyIsAligned()
    {
        var bench = new PtxBench();
        string text = PtxBench.Text("ay", Copy.Replace("[%rd2]", "[%rd2+8]", StringComparison.Ordinal));
        Assert.Throws<MisalignedFault>(() => bench.Launch(text, PtxBench.Shape(1, 32), bench.Array<byte>(600), bench.Array<byte>(512)));
    }

    [Fact]
    public void ProductsNeedTheWholeWarp()
    {
        var bench = new PtxBench();
        string text = PtxBench.Text("a", """
            .reg .b32 %r<4>; .reg .f32 %f<4>; mov.b32 %r0, 0; mov.b32 %r1, 0; mov.f32 %f0, 0f00000000;
            mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%f0, %f0, %f0, %f0}, {%r0, %r0}, {%r0}, {%f0, %f0, %f0, %f0};
            """);
        Assert.Throws<DivergentCollectiveFault>(() => bench.Launch(text, PtxBench.Shape(1, 16), bench.Array<byte>(16)));
        bench.Launch(text, PtxBench.Shape(1, 32), bench.Array<byte>(16));
    }
}
