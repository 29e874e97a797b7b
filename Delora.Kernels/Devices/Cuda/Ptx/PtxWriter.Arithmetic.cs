namespace Delora.Kernels.Ptx;

// Numbers: what the operators of the registers do not say.
internal sealed partial class PtxWriter
{
    /// <summary>The thread's number in its group, <c>%tid.x</c>.</summary>
    internal B32 ThreadX() => Result<B32>("mov.u32", "%tid.x").As("thread");

    /// <summary>The group's number in the grid along an axis (x, y or z), <c>%ctaid</c>.</summary>
    internal B32 Group(char axis) => Result<B32>("mov.u32", $"%ctaid.{axis}").As($"group_{axis}");

    /// <summary>Groups of the grid along an axis (x, y or z), <c>%nctaid</c>.</summary>
    internal B32 Groups(char axis) => Result<B32>("mov.u32", $"%nctaid.{axis}").As($"groups_{axis}");

    /// <summary>A new register with a value.</summary>
    internal B32 Constant(int value) => Result<B32>("mov.b32", value);

    /// <summary>A new register with a value.</summary>
    internal F32 Constant(float value) => Result<F32>("mov.f32", value);

    /// <summary>to = value, of the same type.</summary>
    internal void Set(PtxRegister to, PtxOperand value) => Emit($"mov.{to.Type}", to, value);

    /// <summary>to += value.</summary>
    internal void Increase(B32 to, PtxOperand value) => Emit("add.s32", to, to, value);

    /// <summary>to += value.</summary>
    internal void Increase(B64 to, PtxOperand value) => Emit("add.s64", to, to, value);

    /// <summary>to = a · b + to, rounded once.</summary>
    internal void MultiplyAdd(F32 to, F32 a, F32 b) => Emit("fma.rn.f32", to, a, b, to);

    /// <summary>a · b + c, rounded once.</summary>
    internal F32 MultiplyAdd(F32 a, PtxOperand b, PtxOperand c) => Result<F32>("fma.rn.f32", a, b, c);

    /// <summary>a · b + c.</summary>
    internal B32 MultiplyAdd(B32 a, PtxOperand b, PtxOperand c) => Result<B32>("mad.lo.s32", a, b, c);

    /// <summary>The lesser of two integers.</summary>
    internal B32 Min(B32 a, PtxOperand b) => Result<B32>("min.s32", a, b);

    /// <summary>The greater of two integers.</summary>
    internal B32 Max(B32 a, PtxOperand b) => Result<B32>("max.s32", a, b);

    /// <summary>The greater of two floats; of NaN and a number the number.</summary>
    internal F32 Max(F32 a, PtxOperand b) => Result<F32>("max.f32", a, b);

    /// <summary>yes where the predicate holds, else no.</summary>
    internal B32 Select(Pred predicate, PtxOperand yes, PtxOperand no) => Result<B32>("selp.b32", yes, no, predicate);

    /// <summary>yes where the predicate holds, else no.</summary>
    internal B64 SelectLong(Pred predicate, PtxOperand yes, PtxOperand no) => Result<B64>("selp.b64", yes, no, predicate);

    /// <summary>yes where the predicate holds, else no.</summary>
    internal F32 SelectFloat(Pred predicate, PtxOperand yes, PtxOperand no) => Result<F32>("selp.f32", yes, no, predicate);

    /// <summary>The 64-bit integer of the same value.</summary>
    internal B64 Long(B32 a) => Result<B64>("cvt.s64.s32", a);

    /// <summary>The low 32 bits.</summary>
    internal B32 Low(B64 a) => Result<B32>("cvt.u32.u64", a);

    /// <summary>The same bits as another type.</summary>
    internal F32 AsFloat(B32 bits) => Result<F32>("mov.b32", bits);

    /// <summary>The same bits as another type.</summary>
    internal B32 AsBits(F32 value) => Result<B32>("mov.b32", value);

    /// <summary>Two float32 rounded to the nearest 16-bit numbers (ties to even) in one register, the first in the low half.</summary>
    /// <param name="type"><c>bf16</c> or <c>f16</c>.</param>
    /// <param name="low">The first.</param>
    /// <param name="high">The second.</param>
    internal B32 Pack(string type, F32 low, F32 high) => Result<B32>($"cvt.rn.{type}x2.f32", high, low);

    /// <summary>A float32 rounded to tf32: 10 bits of fraction, nearest, ties away from zero; the rest of the bits is zero.</summary>
    internal B32 RoundToTf32(F32 value) => Result<B32>("cvt.rna.tf32.f32", value);

    /// <summary>The lane's value of another lane of its warp, lane xor mask.</summary>
    internal F32 ShuffleXor(F32 value, int mask) => Result<F32>("shfl.sync.bfly.b32", value, mask, 31, "0xffffffff");
}
