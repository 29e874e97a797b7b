using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// Writes the second pass of a product whose inner dimension was split: c = part₀ + part₁ + … + bias + c, element by element and always in this
/// order, so that the bits do not depend on which group was done first.
/// </summary>
internal static class PartialSums
{
    /// <summary>The name of the kernel.</summary>
    internal const string Name = "sum_of_parts";

    /// <summary>Elements of a group.</summary>
    internal const int Threads = 256;

    /// <summary>The text.</summary>
    internal static PtxText Write()
    {
        // Float products are split on older cards, too.
        PtxWriter w = new(Name, Threads, 1, "sm_60", "6.0");
        w.About("c = part 0 + part 1 + … + bias + c; a thread makes one element.");
        B64 parts = w.Pointer("parts"), c = w.Pointer("c"), bias = w.Pointer("bias"), count = w.LongParameter("count");
        B32 splits = w.Parameter("splits"), columns = w.Parameter("columns"), accumulate = w.Parameter("accumulate");
        B64 index = w.Long(w.ThreadX()).Plus(w.Group('x'), Threads).As("index");
        using (w.If(w.Result<Pred>("setp.lt.s64", index, count), "element"))
        using (w.Scope("One element"))
        {
            B64 from = (parts + (index << 2)).As("from"), to = (c + (index << 2)).As("to"), step = (count << 2).As("bytes_of_part");
            F32 sum = w.Constant(0f).As("sum"), part = w.New<F32>("part");
            w.For("split", splits, _ =>
            {
                w.LoadConstant(from.At(), part);
                w.Emit("add.f32", sum, sum, part);
                w.Increase(from, step);
            });
            using (w.If(!bias.Is(0L), "bias"))
            {
                w.LoadConstant((bias + (w.Result<B64>("rem.u64", index, w.Long(columns)) << 2)).At(), part);
                w.Emit("add.f32", sum, sum, part);
            }
            using (w.If(accumulate > 0, "accumulate"))
            {
                w.LoadGlobal(to.At(), part);
                w.Emit("add.f32", sum, sum, part);
            }
            w.StoreGlobal(to.At(), sum);
        }
        return w.Finish();
    }
}
