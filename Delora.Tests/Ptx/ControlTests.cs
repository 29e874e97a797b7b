using Delora.Kernels;
using Delora.Tests.KernelCompilation;

namespace Delora.Tests.Ptx;

/// <summary>What threads do with each other and where they go: calls, branch tables, exchange in a warp, votes, reducing barriers, atomics, generic addresses.</summary>
public sealed class ControlTests
{
    private const string Head = """
        .reg .b32 %r<16>; .reg .b64 %rd<8>; .reg .pred %p<4>;
        mov.u32 %r0, %tid.x; mul.wide.u32 %rd0, %r0, 4; add.u64 %rd1, %rd0, x; add.u64 %rd2, %rd0, y; ld.global.u32 %r1, [%rd1];

        """;

    /// <summary>Runs instructions that turn %r1 into %r2, in each of the threads.</summary>
    private static uint[] Run(string body, uint[] x, string before = "")
    {
        var bench = new PtxBench();
        PtxArray<uint> y = bench.Array<uint>(x.Length);
        string text = PtxBench.Text("xy", Head + body + "\nst.global.u32 [%rd2], %r2;", before: before);
        NvidiaAssembler.Check(text);
        bench.Launch(text, PtxBench.Shape(1, x.Length), bench.Array<uint>(x), y);
        return y.Span.ToArray();
    }

    private static uint[] Numbers(int count)
    {
        var random = new Random(count);
        return [.. Enumerable.Range(0, count).Select(_ => (uint)random.Next(int.MinValue, int.MaxValue))];
    }

    private static void Check(string body, int threads, Func<uint[], int, uint> expected, string before = "")
    {
        uint[] x = Numbers(threads), y = Run(body, x, before);
        for (int i = 0; i < threads; i++) Assert.Equal(expected(x, i), y[i]);
    }

    [Fact]
    public void FunctionsAreCalled()
    {
        const string Functions = """
            .func (.param .b32 r) twice(.param .b32 a) { .reg .b32 %v; ld.param.b32 %v, [a]; shl.b32 %v, %v, 1; st.param.b32 [r], %v; ret; }
            .func (.reg .b32 r) sum(.reg .b32 a, .reg .b32 b) { .reg .pred %q; setp.lt.u32 %q, a, b; @%q bra L; sub.u32 r, a, b; ret; L: add.u32 r, a, b; }

            """;
        const string Body = """
            { .param .b32 in; .param .b32 out; st.param.b32 [in], %r1; call.uni (out), twice, (in); ld.param.b32 %r3, [out]; }
            setp.lt.u32 %p1, %r0, 9; mov.u32 %r2, 5; @%p1 call (%r2), sum, (%r3, %r1);
            """;
        Check(Body, 40, (x, i) => i >= 9 ? 5 : 2 * x[i] < x[i] ? 3 * x[i] : x[i], Functions);
    }

    [Fact]
    public void BranchTables() => Check("""
        and.b32 %r3, %r1, 3; mov.u32 %r2, 0;
        ts: .branchtargets A, B, C, A;
        brx.idx %r3, ts;
        A: add.u32 %r2, %r2, 7; bra E;
        B: add.u32 %r2, %r2, 8;
        C: add.u32 %r2, %r2, 9;
        E: mad.lo.u32 %r2, %r2, 10, %r3;
        """, 64, (x, i) => (x[i] & 3) switch { 1 => 171u, 2 => 92, var other => 70 + other });

    [Fact]
    public void LoopsOfDifferentLengthMeetAgain() => Check("""
        and.b32 %r3, %r1, 15; mov.u32 %r2, 0;
        L: setp.eq.u32 %p1, %r3, 0; @%p1 bra E; add.u32 %r2, %r2, %r3; sub.u32 %r3, %r3, 1; bra L;
        E: shfl.sync.bfly.b32 %r4, %r2, 1, 31, -1; add.u32 %r2, %r2, %r4;
        """, 96, (x, i) => Sum(x[i]) + Sum(x[i ^ 1]));

    private static uint Sum(uint x) => (x & 15) * ((x & 15) + 1) / 2;

    [Theory]
    [InlineData("up", 3, 0, 8), InlineData("up", 1, 0, 32), InlineData("down", 5, 31, 32), InlineData("down", 2, 7, 8), InlineData("bfly", 4, 31, 32)]
    [InlineData("idx", 3, 31, 8), InlineData("idx", 40, 31, 32)]
    public void Shuffles(string mode, int by, int clamp, int width) => Check(
        $"shfl.sync.{mode}.b32 %r2|%p1, %r1, {by}, {(32 - width) << 8 | (mode == "up" ? 0 : clamp == 7 ? 31 : clamp)}, -1;\n@!%p1 add.u32 %r2, %r2, 1;", 64,
        (x, i) =>
        {
            int segment = i / width * width, from = mode switch { "up" => i - by, "down" => i + by, "bfly" => i ^ by, _ => segment + by % width };
            bool inside = from >= segment && from < segment + width;
            return inside ? x[from] : x[i] + 1;
        });

    [Fact]
    public void Votes()
    {
        Check("and.b32 %r3, %r1, 1; setp.ne.u32 %p1, %r3, 0; vote.sync.ballot.b32 %r2, %p1, -1;", 64,
            (x, i) => (uint)Enumerable.Range(0, 32).Sum(lane => (long)(x[i / 32 * 32 + lane] & 1) << lane));
        Check("setp.lt.u32 %p1, %r0, 40; vote.sync.all.pred %p2, %p1, -1; selp.u32 %r2, 1, 0, %p2;", 64, (_, i) => i < 32 ? 1u : 0);
        Check("setp.ge.u32 %p1, %r0, 40; vote.sync.any.pred %p2, %p1, -1; selp.u32 %r2, 1, 0, %p2;", 64, (_, i) => i < 32 ? 0u : 1);
        Check("setp.ge.u32 %p1, %r0, 40; vote.sync.uni.pred %p2, !%p1, -1; selp.u32 %r2, 1, 0, %p2;", 64, (_, i) => i < 32 ? 1u : 0);
        Check("and.b32 %r3, %r1, 3; match.any.sync.b32 %r2, %r3, -1;", 32,
            (x, i) => (uint)Enumerable.Range(0, 32).Sum(lane => (x[lane] & 3) == (x[i] & 3) ? 1L << lane : 0));
        Check("redux.sync.min.s32 %r2, %r1, -1;", 64, (x, i) => (uint)x[(i / 32 * 32)..(i / 32 * 32 + 32)].Min(value => (int)value));
        Check("redux.sync.xor.b32 %r2, %r1, -1;", 32, (x, _) => x.Aggregate((a, b) => a ^ b));
        Check("elect.sync _|%p1, -1; selp.u32 %r2, 1, 0, %p1;", 64, (_, i) => i % 32 == 0 ? 1u : 0);
        Check("setp.lt.u32 %p1, %r0, 5; mov.u32 %r2, 0; @%p1 activemask.b32 %r2;", 32, (_, i) => i < 5 ? 31u : 0);
    }

    [Fact]
    public void BarriersReduce()
    {
        Check("and.b32 %r3, %r1, 1; setp.ne.u32 %p1, %r3, 0; bar.red.popc.u32 %r2, 0, %p1;", 96, (x, _) => (uint)x.Count(value => (value & 1) != 0));
        Check("setp.lt.u32 %p1, %r0, 95; bar.red.and.pred %p2, 1, %p1; selp.u32 %r2, 1, 0, %p2;", 96, (_, _) => 0);
        Check("setp.ge.u32 %p1, %r0, 95; bar.red.or.pred %p2, 1, 96, %p1; selp.u32 %r2, 1, 0, %p2;", 96, (_, _) => 1);
    }

    [Fact]
    public void ABarrierBetweenProducerAndConsumer() => Check("""
        .shared .align 4 .b32 s[32]; mov.u32 %r3, s; and.b32 %r4, %r0, 31; mad.lo.u32 %r3, %r4, 4, %r3; mov.u32 %r2, 1;
        setp.lt.u32 %p1, %r0, 32; @%p1 bra W;
        st.shared.u32 [%r3], %r1; bar.arrive 3, 64; bra E;
        W: bar.sync 3, 64; ld.shared.u32 %r2, [%r3];
        E: bar.sync 0;
        """, 64, (x, i) => i < 32 ? x[i + 32] : 1);

    [Theory]
    [InlineData("add.u32", 5u), InlineData("min.s32", 3u), InlineData("max.u32", 9u), InlineData("and.b32", 77u), InlineData("or.b32", 4u), InlineData("xor.b32", 8u)]
    public void Atomics(string operation, uint start)
    {
        uint[] x = Numbers(96), y = Run($"""
            .shared .align 4 .b32 s; setp.eq.u32 %p1, %r0, 0; @%p1 st.shared.u32 [s], {start}; bar.sync 0;
            atom.shared.{operation} %r3, [s], %r1; bar.sync 0; ld.shared.u32 %r2, [s];
            """, x);
        uint expected = x.Aggregate(start, (a, b) => operation[..2] switch
        {
            "ad" => a + b,
            "mi" => (uint)Math.Min((int)a, (int)b),
            "ma" => Math.Max(a, b),
            "an" => a & b,
            "or" => a | b,
            _ => a ^ b,
        });
        Assert.All(y, value => Assert.Equal(expected, value));
    }

    [Fact]
    public void ExchangesAndFloats()
    {
        var bench = new PtxBench();
        PtxArray<float> sum = bench.Array<float>(1);
        PtxArray<uint> old = bench.Array<uint>(64), last = bench.Array<uint>(2);
        string text = PtxBench.Text("xyz", """
            .reg .b32 %r<4>; .reg .b64 %rd<4>; .reg .f32 %f<2>;
            mov.u32 %r0, %tid.x; cvt.rn.f32.u32 %f1, %r0; red.global.add.f32 [x], %f1;
            atom.global.inc.u32 %r1, [z], 40; mul.wide.u32 %rd1, %r0, 4; add.u64 %rd1, %rd1, y; st.global.u32 [%rd1], %r1;
            atom.global.cas.b32 %r2, [z+4], %r0, 7; atom.exch.b32 %r3, [z+4], 3;
            """);
        NvidiaAssembler.Check(text);
        bench.Launch(text, PtxBench.Shape(1, 64), sum, old, last);
        Assert.Equal(63 * 64 / 2, sum[0]);
        Assert.Equal(Enumerable.Range(0, 64).Select(i => (uint)i % 41), old.Span.ToArray());
        Assert.Equal((23u, 3u), (last[0], last[1]));
    }

    [Fact]
    public void GenericAndLocalAddresses() => Check("""
        .local .align 8 .b8 l[16]; .shared .align 4 .b32 s[64]; .reg .b64 %l, %s;
        mov.u64 %l, l; st.local.u32 [%l+4], %r1; cvta.local.u64 %l, %l; ld.u32 %r3, [%l+4];
        mov.u64 %s, s; add.u64 %s, %s, %rd0; cvta.shared.u64 %s, %s; st.u32 [%s], %r3; ld.u32 %r2, [%s];
        isspacep.shared %p1, %s; @!%p1 add.u32 %r2, %r2, 1; isspacep.global %p2, %rd1; @!%p2 add.u32 %r2, %r2, 2;
        mov.u64 %rd3, t; cvta.const.u64 %rd3, %rd3; ld.u32 %r4, [%rd3+4]; add.u32 %r2, %r2, %r4;
        """, 64, (x, i) => x[i] + 22, ".const .align 4 .u32 t[3] = {11, 22, 33};\n");

    [Fact]
    public void VectorsAndNarrowNumbers() => Check("""
        .shared .align 16 .b8 s[1024]; .reg .b16 %h<3>; mov.u32 %r3, s; mad.lo.u32 %r3, %r0, 16, %r3; not.b32 %r4, %r1;
        st.shared.v4.u32 [%r3], {%r1, %r4, %r0, %r1}; ld.shared.s8 %r5, [%r3+3]; ld.shared.u16 %h1, [%r3+6]; cvt.u32.u16 %r6, %h1;
        ld.shared.v2.u32 {%r7, %r8}, [%r3+8]; st.shared.u8 [%r3+8], %r8; ld.shared.u32 %r9, [%r3+8];
        add.u32 %r2, %r5, %r6; add.u32 %r2, %r2, %r9;
        """, 64, (x, i) => (uint)((int)x[i] >> 24) + (~x[i] >> 16) + (x[i] & 0xFF));

    [Fact]
    public void GroupsHaveTheirPlaces()
    {
        var bench = new PtxBench();
        PtxArray<uint> y = bench.Array<uint>(2 * 3 * 2 * 4 * 2 * 3);
        string text = PtxBench.Text("y", """
            .reg .b32 %r<16>; .reg .b64 %rd;
            mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ctaid.y; mov.u32 %r3, %ctaid.z; mov.u32 %r4, %tid.x; mov.u32 %r5, %tid.y; mov.u32 %r6, %tid.z;
            mad.lo.u32 %r7, %r3, 3, %r2; mov.u32 %r8, %nctaid.x; mad.lo.u32 %r7, %r7, %r8, %r1;
            mad.lo.u32 %r7, %r7, 3, %r6; mov.u32 %r9, %ntid.y; mad.lo.u32 %r7, %r7, %r9, %r5; mad.lo.u32 %r7, %r7, 4, %r4;
            mul.wide.u32 %rd, %r7, 4; add.u64 %rd, %rd, y; st.global.u32 [%rd], %r7;
            """);
        NvidiaAssembler.Check(text);
        bench.Launch(text, new PtxLaunch(2, 3, 2, 4, 2, 3, 0), y);
        Assert.Equal(Enumerable.Range(0, y.Length).Select(i => (uint)i), y.Span.ToArray());
    }
}
