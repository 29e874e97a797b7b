using Delora.Kernels;
using Delora.Tests.KernelCompilation;

namespace Delora.Tests.Ptx;

/// <summary>Every check of the machine is provoked once.</summary>
public sealed class StrictnessTests
{
    private const string Registers = "    .reg .b32 %r<8>; .reg .b64 %rd<8>; .reg .f32 %f<8>; .reg .pred %p<4>;\n    mov.u32 %r0, %tid.x;\n";

    private static T Fails<T>(string body, int threads = 32, string before = "", PtxOptions? options = null, int dynamicShared = 0) where T : PtxFault
    {
        var bench = new PtxBench(options);
        PtxArray<float> a = bench.Array<float>(64);
        string text = PtxBench.Text("a", Registers + body, before: before);
        NvidiaAssembler.Check(text);
        return Assert.Throws<T>(() => bench.Launch(text, PtxBench.Shape(1, threads, dynamicShared), a));
    }

    [Fact]
    public void ARegisterThatWasNeverWritten()
    {
        var fault = Fails<UnwrittenRegisterFault>("setp.lt.u32 %p1, %r0, 7;\n@%p1 mov.f32 %f1, 0f3F800000;\nst.global.f32 [a], %f1;");
        Assert.Equal(
            "test: k, line 13 (st.global.f32 [a], %f1), group (0, 0, 0), thread (7, 0, 0): the register %f1 was never written", fault.Message);
    }

    [Fact]
    public void APredicateThatWasNeverWritten() => Assert.Contains("predicate %p1", Fails<UnwrittenRegisterFault>("@%p1 st.global.u32 [a], %r0;").Message);

    [Fact]
    public void SharedMemoryThatWasNeverWritten() =>
        Fails<UnwrittenMemoryFault>(".shared .align 4 .b8 s[256];\nmov.u32 %r1, s;\nst.shared.u32 [s+4], 1;\nld.shared.u32 %r2, [%r1];", 1);

    [Fact]
    public void LocalMemoryThatWasNeverWritten() =>
        Fails<UnwrittenMemoryFault>(".local .align 4 .b8 l[16];\nst.local.u16 [l], 1;\nld.local.u32 %r2, [l];");

    [Fact]
    public void AMisalignedAddress()
    {
        Fails<MisalignedFault>("ld.global.v4.f32 {%f0, %f1, %f2, %f3}, [a+8];");
        Fails<MisalignedFault>(".shared .align 8 .b8 s[256];\nst.shared.u64 [s+4], a;");
    }

    [Fact]
    public void AnAccessOutsideOfEveryAllocation()
    {
        var fault = Fails<OutOfBoundsFault>("mul.wide.u32 %rd1, %r0, 12;\nadd.u64 %rd1, %rd1, a;\nst.global.u32 [%rd1], %r0;");
        Assert.Contains("thread (22, 0, 0)", fault.Message, StringComparison.Ordinal);
        Fails<OutOfBoundsFault>("ld.global.v4.f32 {%f0, %f1, %f2, %f3}, [a+-16];");
    }

    [Fact]
    public void AnAccessOutsideOfSharedMemory()
    {
        Fails<OutOfBoundsFault>(".shared .align 4 .b8 s[256];\nst.shared.u32 [s+256], %r0;", 1);
        Fails<OutOfBoundsFault>("mov.u32 %r1, d;\nst.shared.u32 [%r1+1020], 1;\nst.shared.u32 [%r1+1024], 1;", 1, ".extern .shared .align 16 .b8 d[];",
            null, 1024);
        Fails<OutOfBoundsFault>("mov.u32 %r1, 0;\nst.shared.u32 [%r1], 1;", 1, ".extern .shared .align 16 .b8 d[];", null, 1024);
    }

    [Fact]
    public void AWrongGenericAddress() => Fails<OutOfBoundsFault>("cvta.to.shared.u64 %rd1, a;");

    [Fact]
    public void ConstantMemoryThatIsWritten() =>
        Fails<OutOfBoundsFault>("mov.u64 %rd1, c;\ncvta.const.u64 %rd1, %rd1;\nst.u32 [%rd1], 1;", 1, ".const .align 4 .u32 c[2] = {1, 2};");

    [Fact]
    public void LanesThatDoNotMeet()
    {
        Fails<DivergentCollectiveFault>("setp.lt.u32 %p1, %r0, 7;\n@%p1 shfl.sync.idx.b32 %r1, %r0, 0, 31, -1;\nbar.sync 0;");
        Fails<DivergentCollectiveFault>("setp.lt.u32 %p1, %r0, 7;\nselp.b32 %r2, -1, 255, %p1;\nshfl.sync.idx.b32 %r1, %r0, 0, 31, %r2;");
        Fails<DivergentCollectiveFault>("shfl.sync.idx.b32 %r1, %r0, 0, 31, 0xFFFF;");
    }

    [Fact]
    public void AValueOfALaneThatDoesNotTakePart() =>
        Fails<DivergentCollectiveFault>("setp.ge.u32 %p1, %r0, 16;\n@%p1 exit;\nshfl.sync.down.b32 %r1, %r0, 8, 31, 0xFFFF;");

    [Fact]
    public void ABarrierInOneBranchOnly() =>
        Fails<DivergentCollectiveFault>("setp.lt.u32 %p1, %r0, 7;\n@%p1 bra L;\nbar.sync 0;\nbra E;\nL: bar.sync 0;\nE: ret;");

    [Fact]
    public void ABarrierThatOthersNeverReach()
    {
        Fails<BarrierFault>("setp.lt.u32 %p1, %r0, 32;\n@%p1 bra L;\nbar.sync 0;\nbra E;\nL: bar.sync 1;\nE: ret;", 64);
        Fails<BarrierFault>("bar.sync 0, 96;", 64);
    }

    [Fact]
    public void ThreadsThatHaveExitedAreNotWaitedFor()
    {
        var bench = new PtxBench();
        PtxArray<uint> a = bench.Array<uint>(64);
        bench.Launch(
            PtxBench.Text("a", Registers
                + "setp.ge.u32 %p1, %r0, 50;\n@%p1 exit;\nbar.sync 0;\nmul.wide.u32 %rd1, %r0, 4;\nadd.u64 %rd1, %rd1, a;\nst.global.u32 [%rd1], 1;"),
            PtxBench.Shape(1, 64), a);
        Assert.Equal(50u, a.Span.ToArray().Aggregate((x, y) => x + y));
    }

    [Fact]
    public void ABranchMarkedUniformOnWhichLanesDiffer() => Fails<NonUniformBranchFault>("setp.lt.u32 %p1, %r0, 7;\n@%p1 bra.uni L;\nmov.u32 %r1, 1;\nL: ret;");

    private const string Exchange = ".shared .align 4 .b8 s[512];\nmov.u32 %r1, s;\nmad.lo.u32 %r2, %r0, 4, %r1;\nst.shared.u32 [%r2], %r0;\n";

    [Fact]
    public void ARaceInSharedMemory()
    {
        Fails<RaceFault>(Exchange + "ld.shared.u32 %r3, [s];");
        Fails<RaceFault>(Exchange + "ld.shared.u32 %r3, [s];", 64);
        Fails<RaceFault>(Exchange + "bar.sync 0;\nld.shared.u32 %r3, [s];\nst.shared.u32 [%r2], 1;", 64);
        Fails<RaceFault>(Exchange + "st.shared.u32 [s], %r0;");
        // A barrier of the warp orders nothing between warps.
        Fails<RaceFault>(Exchange + "bar.warp.sync -1;\nld.shared.u32 %r3, [s];", 64);
        // Shuffles are no fences.
        Fails<RaceFault>(Exchange + "shfl.sync.idx.b32 %r4, %r0, 0, 31, -1;\nld.shared.u32 %r3, [s];");
    }

    [Theory, InlineData("bar.sync 0;"), InlineData("barrier.sync 3;"), InlineData("bar.sync 1, 64;")]
    public void ABarrierOrders(string barrier)
    {
        var bench = new PtxBench();
        bench.Launch(PtxBench.Text("a", Registers + Exchange + barrier + "\nld.shared.u32 %r3, [s+252];\n" + barrier + "\nst.shared.u32 [%r2], %r3;"),
            PtxBench.Shape(2, 64), bench.Array<float>(1));
    }

    [Fact]
    public void ABarrierOfTheWarpOrdersItsLanes()
    {
        var bench = new PtxBench();
        bench.Launch(PtxBench.Text("a", Registers + Exchange + "bar.warp.sync -1;\nld.shared.u32 %r3, [s+124];"), PtxBench.Shape(1, 32), bench.Array<float>(1));
    }

    [Fact]
    public void RacesCanBeAllowed()
    {
        var bench = new PtxBench(new PtxOptions { FindRaces = false });
        bench.Launch(PtxBench.Text("a", Registers + Exchange + "ld.shared.u32 %r3, [s];"), PtxBench.Shape(1, 32), bench.Array<float>(1));
    }

    [Fact]
    public void AnEndlessLoop() => Fails<EndlessLoopFault>("L: bra L;", options: new PtxOptions { InstructionsPerGroup = 1000 });

    [Fact]
    public void ADivisionByZero() => Fails<PtxLimitFault>("mov.u32 %r1, 0;\ndiv.u32 %r2, %r0, %r1;");

    [Fact]
    public void Traps() => Fails<PtxLimitFault>("trap;");

    [Fact]
    public void LaunchesThatAreRefused()
    {
        var bench = new PtxBench();
        string text = PtxBench.Text("a", ".shared .align 4 .b8 s[1024];\nret;");
        PtxArray<float> a = bench.Array<float>(1);
        Assert.Throws<PtxLimitFault>(() => bench.Launch(text, PtxBench.Shape(1, 1025), a));
        Assert.Throws<PtxLimitFault>(() => bench.Launch(text, PtxBench.Shape(1, 32, 227 << 10), a));
        bench.Launch(text, PtxBench.Shape(1, 32, (227 << 10) - 1024), a);
        Assert.Throws<PtxLimitFault>(() => bench.Launch(text.Replace("\n{", "\n.maxntid 64\n{", StringComparison.Ordinal), PtxBench.Shape(1, 65), a));
        Assert.Throws<PtxLimitFault>(() => bench.Launch(text, new PtxLaunch(2, 1, 1, 32, 1, 1, 0, 2), a));
        Assert.Throws<PtxLimitFault>(() => bench.Launch(text.Replace("sm_90", "sm_100", StringComparison.Ordinal), PtxBench.Shape(1, 1), a));
        Assert.Throws<PtxLimitFault>(() => bench.Launch(text.Replace("sm_90", "sm_80a", StringComparison.Ordinal), PtxBench.Shape(1, 1), a));
    }

    [Theory]
    [InlineData("mov.u32 %r9, 1;", "line 9: '%r9' is no declared register: mov.u32 %r9, 1")]
    [InlineData("fly.u32 %r1, 1;", "line 9: the instruction is not known: fly.u32 %r1, 1")]
    [InlineData("add.fast.u32 %r1, %r1, 1;", "line 9: the modifier .fast is not known here: add.fast.u32 %r1, %r1, 1")]
    [InlineData("add.u32 %rd1, %r1, 1;", "line 9: '%rd1' is declared .b64, which does not fit .u32: add.u32 %rd1, %r1, 1")]
    [InlineData("bra L;", "line 9: the label 'L' is declared nowhere: bra L")]
    [InlineData(".reg .b32 %r<3>;", "line 9: '%r0' is declared twice")]
    [InlineData("add.u32 %r1 %r1, 1;", "line 9: ',' is expected, not '%r1'")]
    [InlineData("mov.u32 %r1, 0x;", "line 9: '0x' is no number")]
    [InlineData(".frobnicate 3;", "line 9: '.frobnicate' is not known here")]
    [InlineData("mov.u32 %r1, 'a';", "line 9: ''' begins nothing")]
    public void WhatIsNotKnownIsNotSkipped(string line, string message)
    {
        var bench = new PtxBench();
        var fault = Assert.Throws<PtxSyntaxFault>(
            () => bench.Launch(PtxBench.Text("a", ".reg .b32 %r<3>; .reg .b64 %rd<3>;" + line), PtxBench.Shape(1, 1), bench.Array<float>(1)));
        Assert.Equal("test, " + message, fault.Message);
    }
}
