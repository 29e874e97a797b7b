using Delora.Kernels.Ptx;

namespace Delora.Kernels;

/// <summary>
/// Writes the second pass of a product whose inner dimension was split: c = f(part₀ + part₁ + … + bias) + before, element by element and always in this
/// order, so that the bits do not depend on which group was done first.
/// </summary>
internal static class PartialSums
{
    /// <summary>Elements of a group.</summary>
    internal const int Threads = 256;

    /// <summary>The name of the kernel.</summary>
    internal static string Name(ActivationKind activation) => $"sum_of_parts{ActivationText.Suffix(activation)}";

    /// <summary>The text.</summary>
    internal static PtxText Write(ActivationKind activation)
    {
        // Float products are split on older cards, too.
        PtxWriter w = new(Name(activation), Threads, 1, "sm_60", "6.0");
        w.About("c = f(part 0 + part 1 + … + bias) + before; a thread makes one element.");
        B64 parts = w.Pointer("parts"), c = w.Pointer("c"), bias = w.Pointer("bias"), before = w.Pointer("before"), kept = w.Pointer("kept");
        B64 count = w.LongParameter("count");
        B32 splits = w.Parameter("splits"), columns = w.Parameter("columns");
        B64 index = w.Long(w.ThreadX()).Plus(w.Group('x'), Threads).As("index");
        using (w.If(w.Result<Pred>("setp.lt.s64", index, count), "element"))
        using (w.Scope("One element"))
        {
            B64 offset = (index << 2).As("offset"), from = (parts + offset).As("from"), step = (count << 2).As("bytes_of_part");
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
            if (activation != ActivationKind.None)
            {
                using (w.If(!kept.Is(0L), "keep")) w.StoreGlobal((kept + offset).At(), sum);
                ActivationText.Apply(w, activation, sum);
            }
            using (w.If(!before.Is(0L), "before"))
            {
                w.LoadGlobal((before + offset).At(), part);
                w.Emit("add.f32", sum, sum, part);
            }
            w.StoreGlobal((c + offset).At(), sum);
        }
        return w.Finish();
    }
}
