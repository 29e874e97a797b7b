using Delora.Kernels.Ptx;

namespace Delora.Tests.KernelCompilation;

/// <summary>The texts that <see cref="PtxWriter"/> writes, and that NVIDIA's assembler takes them.</summary>
public sealed class PtxWriterTests
{
    [Fact]
    public void AKernelReadsAsItWasWritten()
    {
        PtxWriter w = new("scaled", threads: 128);
        w.About("y = factor · x");
        B64 x = w.Pointer("x"), y = w.Pointer("y");
        B32 count = w.Parameter("count");
        F32 factor = w.FloatParameter("factor");
        B32 index = w.MultiplyAdd(w.Group('x'), 128, w.ThreadX()).As("index");
        using (w.If(index < count, "element"))
        using (w.Scope("One element"))
        {
            F32 value = w.New<F32>("value");
            w.LoadGlobal(x.Plus(index, 4).As("from").At(), value);
            w.StoreGlobal(y.Plus(index, 4).As("to").At(8), value * factor);
        }
        PtxText kernel = w.Finish();
        Assert.Equal(
            """
            .version 7.4
            .target sm_80
            .address_size 64

            // y = factor · x
            .visible .entry scaled(
                .param .u64 .ptr .global .align 4 param_x,
                .param .u64 .ptr .global .align 4 param_y,
                .param .b32 param_count,
                .param .f32 param_factor)
            .maxntid 128, 1, 1
            .minnctapersm 1
            {
                .reg .b32 %count, %group_x, %thread, %index;
                .reg .b64 %x, %y;
                .reg .f32 %factor;
                .reg .pred %p;
                ld.param.b64 %x, [param_x];
                ld.param.b64 %y, [param_y];
                ld.param.b32 %count, [param_count];
                ld.param.f32 %factor, [param_factor];
                mov.u32 %group_x, %ctaid.x;
                mov.u32 %thread, %tid.x;
                mad.lo.s32 %index, %group_x, 128, %thread;
                setp.lt.s32 %p, %index, %count;
                @!%p bra AFTER_ELEMENT;
                // One element
                {
                    .reg .b64 %from, %to;
                    .reg .f32 %value, %mul;
                    mad.wide.s32 %from, %index, 4, %x;
                    ld.global.f32 %value, [%from];
                    mad.wide.s32 %to, %index, 4, %y;
                    mul.f32 %mul, %value, %factor;
                    st.global.f32 [%to+8], %mul;
                }
            AFTER_ELEMENT:
                ret;
            }

            """.ReplaceLineEndings("\n"), kernel.Text);
    }

    [Fact]
    public void NamesAreGivenOnceAndNoSpecialRegisterIsHidden()
    {
        PtxWriter w = new("names", threads: 32);
        Assert.Equal("tid_2", w.New<B32>("tid").Name);
        Assert.Equal(
            ["a", "a_2", "a_3", "a_4"],
            new[] { w.New<F32>("a"), w.New<F32>("a_2"), w.New<F32>("a"), w.New<F32>("a") }.Select(register => register.Name));
        Assert.Equal(["LOOP_K", "LOOP_K_2"], [w.Label("loop_k").Name, w.Label("loop_k").Name]);
    }

    [Fact]
    public void WhatIsNotClosedIsRefused()
    {
        PtxWriter w = new("twice", threads: 32);
        Assert.Equal(0, w.Finish().SharedBytes);
        Assert.Throws<InvalidOperationException>(w.Finish);
        PtxWriter open = new("open", threads: 32);
        open.Scope("never closed");
        Assert.Throws<InvalidOperationException>(open.Finish);
        PtxWriter guarded = new("guarded", threads: 32);
        using (guarded.When(guarded.ThreadX() < 1))
            Assert.Throws<InvalidOperationException>(() => guarded.When(guarded.ThreadX() < 2));
    }

    /// <summary>One tile of 16 × 8 by a warp: every kind of instruction that the writer knows.</summary>
    [Theory, InlineData("sm_80"), InlineData("sm_90a")]
    public void EveryInstructionAssembles(string architecture)
    {
        PtxWriter w = new("tile", threads: 32);
        B64 from = w.Pointer("a", 16), to = w.Pointer("c", 8);
        B32 steps = w.Parameter("steps"), lane = w.ThreadX();
        PtxShared tile = w.Shared("tile", 1024);
        B32 shared = w.AddressOf(tile);
        F32[] d = w.New<F32>("d", 4);
        foreach (F32 sum in d) w.Set(sum, 0f);
        B64 next = from.Plus(lane, 32).As("next");
        w.For("step", steps, step =>
        {
            B32 bytes = w.Select(step < 100, 16, 0).As("bytes"), target = (shared + (lane << 5)).As("target");
            w.CopyAsync(target.At(), next.At(), 16, bytes);
            w.CopyAsync(target.At(16), next.At(16), 8);
            w.CommitCopies();
            w.WaitForCopies(0);
            w.Barrier();
            B32[] a = w.New<B32>("a_", 4), b = w.New<B32>("b_", 2), bTurned = w.New<B32>("bt_", 2);
            w.LoadMatrices((shared + (lane << 4)).At(), false, a);
            w.LoadMatrices((shared + ((lane & 15) << 4)).At(512), false, b);
            w.LoadMatrices((shared + ((lane & 15) << 4)).At(768), true, bTurned);
            w.Mma(MmaType.BFloat16, d, a, b);
            w.Mma(MmaType.Float16, d, a, bTurned);
            w.Mma(MmaType.TensorFloat32, d, a, b);
            w.Barrier();
            w.Increase(next, 1024);
        });
        w.StoreShared(shared.At(), w.Pack("bf16", d[0], d[1]), w.RoundToTf32(d[2]));
        w.Loop("again", () =>
        {
            F32 other = w.ShuffleXor(d[0], 1);
            w.MultiplyAdd(d[0], other, w.Max(d[1], 0f));
            return !(w.AsBits(d[0]) < 0);
        });
        using (w.When(lane < 8)) w.StoreGlobal(to.Plus(lane, 16).At(), d);
        PtxText kernel = w.Finish();
        Assert.Equal(1024, kernel.SharedBytes);
        PtxReport report = NvidiaAssembler.Assemble(kernel.Text, architecture, disassemble: true);
        Assert.Equal((0, 0), (report.StackBytes, report.SpilledBytes));
        if (report.Machine is not { } machine) return;
        foreach (string instruction in new[] { "HMMA.16816.F32.BF16", "HMMA.16816.F32 ", "HMMA.1688.F32.TF32", "LDSM.16.M88.4", "LDSM.16.MT88.2", "LDGSTS" })
            Assert.Contains(instruction, machine);
    }
}
