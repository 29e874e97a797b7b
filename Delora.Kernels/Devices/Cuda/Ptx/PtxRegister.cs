namespace Delora.Kernels.Ptx;

/// <summary>
/// A virtual register of a PTX text. The assembler gives it a real one, so that as many can be made as reading is easier with. Operators write their
/// instruction at once: <c>B32 lane = (thread &amp; 31).As("lane")</c> is <c>and.b32 %lane, %thread, 31;</c>.
/// </summary>
internal abstract class PtxRegister(PtxWriter writer, string type)
{
    /// <summary>Whose register it is.</summary>
    internal PtxWriter Writer { get; } = writer;

    /// <summary>Its PTX type, for instance <c>b32</c>.</summary>
    internal string Type { get; } = type;

    /// <summary>Its name without the percent sign; the text is made when all are known.</summary>
    internal string Name { get; set; } = "";

    /// <inheritdoc/>
    public override string ToString() => $"%{Name}";
}

/// <summary>A float32.</summary>
internal sealed class F32(PtxWriter writer) : PtxRegister(writer, "f32")
{
    /// <summary>Gives the register a name that says what is in it.</summary>
    internal F32 As(string name) => Writer.Rename(this, name);

    public static F32 operator +(F32 a, F32 b) => a.Writer.Result<F32>("add.f32", a, b);

    public static F32 operator -(F32 a, F32 b) => a.Writer.Result<F32>("sub.f32", a, b);

    public static F32 operator *(F32 a, F32 b) => a.Writer.Result<F32>("mul.f32", a, b);

    public static F32 operator *(F32 a, float b) => a.Writer.Result<F32>("mul.f32", a, b);
}

/// <summary>16 bits: a bfloat16, a half or a small integer on its way.</summary>
internal sealed class B16(PtxWriter writer) : PtxRegister(writer, "b16")
{
    /// <inheritdoc cref="F32.As"/>
    internal B16 As(string name) => Writer.Rename(this, name);
}

/// <summary>
/// 32 bits: an integer, an address in shared memory, or two 16-bit numbers. Comparisons, minimum and maximum are signed; the shift to the right, the
/// quotient and the remainder are unsigned. Sizes and indices, from 0 to 2³¹ − 1, are both.
/// </summary>
internal sealed class B32(PtxWriter writer) : PtxRegister(writer, "b32")
{
    /// <inheritdoc cref="F32.As"/>
    internal B32 As(string name) => Writer.Rename(this, name);

    public static B32 operator +(B32 a, B32 b) => a.Writer.Result<B32>("add.s32", a, b);

    public static B32 operator +(B32 a, int b) => a.Writer.Result<B32>("add.s32", a, b);

    public static B32 operator -(B32 a, B32 b) => a.Writer.Result<B32>("sub.s32", a, b);

    public static B32 operator -(B32 a, int b) => a.Writer.Result<B32>("sub.s32", a, b);

    public static B32 operator *(B32 a, B32 b) => a.Writer.Result<B32>("mul.lo.s32", a, b);

    public static B32 operator *(B32 a, int b) => a.Writer.Result<B32>("mul.lo.s32", a, b);

    public static B32 operator /(B32 a, B32 b) => a.Writer.Result<B32>("div.u32", a, b);

    public static B32 operator /(B32 a, int b) => a.Writer.Result<B32>("div.u32", a, b);

    public static B32 operator %(B32 a, B32 b) => a.Writer.Result<B32>("rem.u32", a, b);

    public static B32 operator %(B32 a, int b) => a.Writer.Result<B32>("rem.u32", a, b);

    public static B32 operator &(B32 a, B32 b) => a.Writer.Result<B32>("and.b32", a, b);

    public static B32 operator &(B32 a, int b) => a.Writer.Result<B32>("and.b32", a, b);

    public static B32 operator |(B32 a, B32 b) => a.Writer.Result<B32>("or.b32", a, b);

    public static B32 operator |(B32 a, int b) => a.Writer.Result<B32>("or.b32", a, b);

    public static B32 operator ^(B32 a, B32 b) => a.Writer.Result<B32>("xor.b32", a, b);

    public static B32 operator ^(B32 a, int b) => a.Writer.Result<B32>("xor.b32", a, b);

    public static B32 operator <<(B32 a, int b) => a.Writer.Result<B32>("shl.b32", a, b);

    public static B32 operator >>(B32 a, int b) => a.Writer.Result<B32>("shr.u32", a, b);

    public static Pred operator <(B32 a, B32 b) => a.Writer.Result<Pred>("setp.lt.s32", a, b);

    public static Pred operator <(B32 a, int b) => a.Writer.Result<Pred>("setp.lt.s32", a, b);

    public static Pred operator >(B32 a, B32 b) => a.Writer.Result<Pred>("setp.gt.s32", a, b);

    public static Pred operator >(B32 a, int b) => a.Writer.Result<Pred>("setp.gt.s32", a, b);

    public static Pred operator <=(B32 a, B32 b) => a.Writer.Result<Pred>("setp.le.s32", a, b);

    public static Pred operator <=(B32 a, int b) => a.Writer.Result<Pred>("setp.le.s32", a, b);

    public static Pred operator >=(B32 a, B32 b) => a.Writer.Result<Pred>("setp.ge.s32", a, b);

    public static Pred operator >=(B32 a, int b) => a.Writer.Result<Pred>("setp.ge.s32", a, b);

    /// <summary>Whether the register holds this number; == compares registers, as objects.</summary>
    internal Pred Is(PtxOperand b) => Writer.Result<Pred>("setp.eq.s32", this, b);

    /// <summary>The memory at this address in shared memory.</summary>
    internal PtxAddress At(int offset = 0) => new(this, offset);
}

/// <summary>64 bits: an address in global memory, or a long index.</summary>
internal sealed class B64(PtxWriter writer) : PtxRegister(writer, "b64")
{
    /// <inheritdoc cref="F32.As"/>
    internal B64 As(string name) => Writer.Rename(this, name);

    public static B64 operator +(B64 a, B64 b) => a.Writer.Result<B64>("add.s64", a, b);

    public static B64 operator +(B64 a, int b) => a.Writer.Result<B64>("add.s64", a, b);

    public static B64 operator *(B64 a, B64 b) => a.Writer.Result<B64>("mul.lo.s64", a, b);

    public static B64 operator <<(B64 a, int b) => a.Writer.Result<B64>("shl.b64", a, b);

    /// <summary>this + index · factor, with a product of 64 bits.</summary>
    internal B64 Plus(B32 index, PtxOperand factor) => Writer.Result<B64>("mad.wide.s32", index, factor, this);

    /// <summary>Whether the register holds this number; == compares registers, as objects.</summary>
    internal Pred Is(PtxOperand b) => Writer.Result<Pred>("setp.eq.s64", this, b);

    /// <summary>The memory at this address.</summary>
    internal PtxAddress At(int offset = 0) => new(this, offset);
}

/// <summary>A predicate. <c>!p</c> is a guard that asks for the opposite.</summary>
internal sealed class Pred(PtxWriter writer) : PtxRegister(writer, "pred")
{
    /// <inheritdoc cref="F32.As"/>
    internal Pred As(string name) => Writer.Rename(this, name);

    public static Pred operator &(Pred a, Pred b) => a.Writer.Result<Pred>("and.pred", a, b);

    public static Pred operator |(Pred a, Pred b) => a.Writer.Result<Pred>("or.pred", a, b);

    public static PtxGuard operator !(Pred a) => new(a, true);

    public static implicit operator PtxGuard(Pred a) => new(a, false);
}

/// <summary>Under what condition an instruction is executed: a predicate or its opposite.</summary>
internal readonly record struct PtxGuard(Pred Predicate, bool IsNegated)
{
    public static PtxGuard operator !(PtxGuard a) => new(a.Predicate, !a.IsNegated);

    /// <inheritdoc/>
    public override string ToString() => $"@{(IsNegated ? "!" : "")}{Predicate}";
}
