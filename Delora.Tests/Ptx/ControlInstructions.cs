using System.Numerics;

namespace Delora.Tests.Ptx;

/// <summary>Branches, calls and ends (PTX ISA, "Control Flow Instructions").</summary>
internal static class ControlInstructions
{
    internal static IEnumerable<(string, Func<PtxDecoder, PtxOp>)> All() =>
        [("bra", Branch), ("brx", BranchIndexed), ("call", Call), ("ret", Return), ("exit", Exit), ("trap", Trap)];

    /// <summary>What stands behind a function's last instruction.</summary>
    internal static PtxOp EndOf(PtxAssembler compiler, PtxFunction function) =>
        new ReturnOp(function.IsEntry ? -1 : compiler.Number(function), false) { Text = $"the end of {function.Name}" };

    private static PtxOp Branch(PtxDecoder d)
    {
        d.Count(1);
        return new BranchOp(Label(d, d.Operands[0].Name), d.Flag("uni"));
    }

    private static int Label(PtxDecoder d, string name) =>
        d.Scope.FindLabel(name) is { } index ? d.Compiler.Start(d.Function) + index : throw d.Error($"the label '{name}' is declared nowhere");

    private static PtxOp BranchIndexed(PtxDecoder d)
    {
        d.Count(2);
        d.Need("idx");
        string[] targets = d.Scope.FindTargets(d.Operands[1].Name) ?? throw d.Error($"the list '{d.Operands[1].Name}' is declared nowhere");
        return new BranchIndexedOp(d.Source(0, PtxType.U32), [.. targets.Select(target => Label(d, target))], d.Flag("uni"));
    }

    private static PtxOp Call(PtxDecoder d)
    {
        bool uniform = d.Flag("uni");
        d.Count(1, 3);
        int at = d.Operands[0].Kind == PtxOperandKind.List ? 1 : 0;
        PtxOperand[] results = at == 1 ? d.Operands[0].Parts : [];
        PtxFunction callee = d.Compiler.Function(d.Operands[at].Name) ?? throw d.Error($"there is no function '{d.Operands[at].Name}' with a body");
        if (callee.IsEntry || callee == d.Function) throw d.Error("an entry, or the function itself, cannot be called");
        PtxOperand[] arguments = d.Operands.Length > at + 1 ? d.Operands[at + 1].Parts : [];
        if (arguments.Length != callee.Parameters.Count || results.Length != callee.Results.Count)
            throw d.Error($"'{callee.Name}' has {callee.Parameters.Count} parameters and {callee.Results.Count} results");
        PtxTransfer[] before = [.. arguments.Select((argument, i) => Transfer(d, argument, callee.Parameters[i], isArgument: true))];
        PtxTransfer[] after = [.. results.Select((result, i) => Transfer(d, result, callee.Results[i], isArgument: false))];
        return new CallOp(d.Compiler.Start(callee), d.Compiler.Number(callee), before, after, uniform);
    }

    private static PtxTransfer Transfer(PtxDecoder d, PtxOperand actual, PtxVariable formal, bool isArgument)
    {
        int formalPlace = (int)formal.Address;
        if (formal.Space == PtxSpace.Parameter && d.Scope.Find(actual.Name) is { Space: PtxSpace.Parameter, IsEntryParameter: false } variable)
        {
            if (variable.ByteLength != formal.ByteLength) throw d.Error($"'{actual}' does not fit '{formal.Name}'");
            return isArgument ? new((int)variable.Address, formalPlace, (int)formal.ByteLength, true)
                : new(formalPlace, (int)variable.Address, (int)formal.ByteLength, true);
        }
        if (formal.Space != PtxSpace.Register) throw d.Error($"'{actual}' does not fit '{formal.Name}'");
        return isArgument ? new(d.SourceOf(actual, formal.Type), formalPlace, 0, false) : new(formalPlace, d.TargetOf(actual, formal.Type), 0, false);
    }

    private static PtxOp Return(PtxDecoder d)
    {
        d.Count(0);
        return new ReturnOp(d.Function.IsEntry ? -1 : d.Compiler.Number(d.Function), d.Flag("uni"));
    }

    private static PtxOp Exit(PtxDecoder d)
    {
        d.Count(0);
        return new ReturnOp(-1, false);
    }

    private static PtxOp Trap(PtxDecoder d)
    {
        d.Count(0);
        return new TrapOp();
    }

    private static void CheckUniform(PtxWarp warp, bool isUniform, uint mask, uint active)
    {
        if (isUniform && active != 0 && active != mask)
            throw warp.Fault<NonUniformBranchFault>(BitOperations.TrailingZeroCount(mask & ~active), "lanes of the warp differ at a branch marked .uni");
    }

    private sealed class BranchOp(int target, bool isUniform) : PtxOp
    {
        internal override bool Step(PtxWarp warp, uint mask, uint active, ref int pc)
        {
            CheckUniform(warp, isUniform, mask, active);
            if (active == mask) pc = target;
            else if (active == 0) pc++;
            else
            {
                warp.SetPlaces(active, target);
                warp.SetPlaces(mask & ~active, pc + 1);
                return false;
            }
            return true;
        }
    }

    private sealed unsafe class BranchIndexedOp(int index, int[] targets, bool isUniform) : PtxOp
    {
        internal override bool Step(PtxWarp warp, uint mask, uint active, ref int pc)
        {
            CheckUniform(warp, isUniform, mask, active);
            ulong* x = warp.Read(index, active);
            warp.SetPlaces(mask & ~active, pc + 1);
            int first = active == 0 ? -1 : BitOperations.TrailingZeroCount(active);
            for (; active != 0; active &= active - 1)
            {
                int lane = BitOperations.TrailingZeroCount(active);
                if (x[lane] >= (ulong)targets.Length)
                    throw warp.Fault<PtxLimitFault>(lane, $"the index {x[lane]} is beyond the {targets.Length} branch targets");
                if (isUniform && x[lane] != x[first]) throw warp.Fault<NonUniformBranchFault>(lane, "lanes of the warp differ at a branch marked .uni");
                warp.SetPlaces(1u << lane, targets[x[lane]]);
            }
            return false;
        }
    }

    private sealed class CallOp(int start, int number, PtxTransfer[] before, PtxTransfer[] after, bool isUniform) : PtxOp
    {
        internal override bool Step(PtxWarp warp, uint mask, uint active, ref int pc)
        {
            CheckUniform(warp, isUniform, mask, active);
            foreach (PtxTransfer transfer in before) transfer.Run(warp, active);
            for (uint rest = active; rest != 0; rest &= rest - 1)
            {
                int lane = BitOperations.TrailingZeroCount(rest);
                if (warp.ReturnPlaces[number * 32 + lane] != 0) throw warp.Fault<PtxLimitFault>(lane, "a function calls itself, which is not known");
                warp.ReturnPlaces[number * 32 + lane] = pc + 1;
            }
            warp.SetPlaces(active, start);
            warp.SetPlaces(mask & ~active, pc + 1);
            return false;
        }

        /// <summary>Hands the results to the caller.</summary>
        internal void Return(PtxWarp warp, uint mask)
        {
            foreach (PtxTransfer transfer in after) transfer.Run(warp, mask);
        }
    }

    private sealed class ReturnOp(int function, bool isUniform) : PtxOp
    {
        internal override bool Step(PtxWarp warp, uint mask, uint active, ref int pc)
        {
            CheckUniform(warp, isUniform, mask, active);
            if (active == 0)
            {
                pc++;
                return true;
            }
            warp.SetPlaces(mask & ~active, pc + 1);
            if (function < 0)
            {
                warp.Exit(active);
                return false;
            }
            for (; active != 0; active &= active - 1)
            {
                int lane = BitOperations.TrailingZeroCount(active);
                ref int place = ref warp.ReturnPlaces[function * 32 + lane];
                ((CallOp)warp.Group.Program.Ops[place - 1]).Return(warp, 1u << lane);
                warp.SetPlaces(1u << lane, place);
                place = 0;
            }
            return false;
        }
    }

    private sealed class TrapOp : PtxPlainOp
    {
        internal override void Run(PtxWarp warp, uint mask) =>
            throw warp.Fault<PtxLimitFault>(BitOperations.TrailingZeroCount(mask), "the kernel stops itself");
    }
}

/// <summary>An argument or a result on its way: from one register to another, or bytes of the lane's memory.</summary>
internal readonly record struct PtxTransfer(int From, int To, int Bytes, bool InMemory)
{
    internal unsafe void Run(PtxWarp warp, uint mask)
    {
        ulong* x = InMemory ? null : warp.Read(From, mask), y = InMemory ? null : warp.Write(To, mask);
        for (; mask != 0; mask &= mask - 1)
        {
            int lane = BitOperations.TrailingZeroCount(mask);
            if (InMemory) warp.Local.Copy(lane, From, To, Bytes);
            else y[lane] = x[lane];
        }
    }
}
