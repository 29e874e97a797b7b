namespace Delora.Tests.Ptx;

/// <summary>
/// A decoded instruction. The machine runs it for all lanes of a warp that stand at it, which are the bits of a mask; operands are slots of the
/// warp's register file (constants and special registers have slots, too).
/// </summary>
internal abstract class PtxOp
{
    /// <summary>The line of the text.</summary>
    internal int Line { get; set; }

    /// <summary>The instruction as it was written.</summary>
    internal string Text { get; set; } = "";

    /// <summary>The predicate that guards it, or −1, and whether it is negated.</summary>
    internal int Guard { get; set; } = -1;

    internal bool GuardNegated { get; set; }

    /// <summary>
    /// Steps the lanes of <paramref name="mask"/>, all at <paramref name="pc"/>; the guard holds for those of <paramref name="active"/>. True: all of them
    /// go on together, at the new <paramref name="pc"/>. False: the places of the lanes were set one by one.
    /// </summary>
    internal abstract bool Step(PtxWarp warp, uint mask, uint active, ref int pc);
}

/// <summary>An instruction after which every lane goes on with the next one.</summary>
internal abstract class PtxPlainOp : PtxOp
{
    internal sealed override bool Step(PtxWarp warp, uint mask, uint active, ref int pc)
    {
        if (active != 0) Run(warp, active);
        pc++;
        return true;
    }

    /// <summary>Computes it for the lanes of <paramref name="mask"/>, at least one.</summary>
    internal abstract void Run(PtxWarp warp, uint mask);
}
