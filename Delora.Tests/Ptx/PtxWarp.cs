using System.Numerics;

namespace Delora.Tests.Ptx;

/// <summary>
/// A warp: 32 lanes with a place in the program each. Lanes at the lowest place run first and together, so that they meet again after a branch as
/// soon as they can; a program that relies on another order is at fault on hardware, too, where lanes are scheduled independently.
/// </summary>
internal sealed unsafe partial class PtxWarp
{
    private readonly ulong[] _file;
    private readonly int[] _places = new int[32];
    private bool _last;

    internal PtxWarp(PtxGroup group, int index, int lanes)
    {
        Group = group;
        Index = index;
        Lanes = lanes == 32 ? uint.MaxValue : (1u << lanes) - 1;
        PtxProgram program = group.Program;
        _file = GC.AllocateUninitializedArray<ulong>(Math.Max(1, program.Slots) * 32, pinned: true);
        Registers = (ulong*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref _file[0]);
        Written = new uint[program.Slots];
        Predicates = new uint[program.PredicateCount];
        PredicatesWritten = new uint[program.PredicateCount];
        Local = new PtxLocalMemory(program.LocalBytes);
        ReturnPlaces = new int[program.FunctionCount * 32];
        Known = new int[group.WarpCount + PtxAgents.Count];
        KnownAtProxyFence = new int[Known.Length];
        Pending = new uint[program.Slots];
        foreach ((int slot, ulong value) in program.Constants) Fill(slot, value);
    }

    internal PtxGroup Group { get; }

    internal int Index { get; }

    /// <summary>The lanes that have a thread.</summary>
    internal uint Lanes { get; }

    /// <summary>Registers: 32 numbers of 64 bits for each slot. A narrower number is extended with zeros.</summary>
    internal ulong* Registers { get; }

    /// <summary>For each slot the lanes that have written it.</summary>
    internal uint[] Written { get; }

    /// <summary>For each slot the lanes whose value is the result of an asynchronous product that was not waited for.</summary>
    internal uint[] Pending { get; }

    internal uint[] Predicates { get; }

    internal uint[] PredicatesWritten { get; }

    internal PtxLocalMemory Local { get; }

    /// <summary>Where the lanes go on after a function: 32 places for each function, as functions do not call themselves.</summary>
    internal int[] ReturnPlaces { get; }

    /// <summary>The lanes that have not exited.</summary>
    internal uint Live { get; private set; }

    /// <summary>The lanes that wait at a warp-wide instruction for others, and those that wait at a barrier of the group.</summary>
    internal uint Parked { get; set; }

    internal uint AtBarrier { get; set; }

    /// <summary>The lanes that can go on.</summary>
    internal uint Ready => Live & ~(Parked | AtBarrier);

    /// <summary>Set by an instruction that waits for something that other warps do: they come first.</summary>
    internal bool Yields { get; set; }

    /// <summary>The instruction being run.</summary>
    internal PtxOp Current { get; private set; } = null!;

    /// <summary>Begins a group: nothing has been written.</summary>
    internal void Start()
    {
        Live = Lanes;
        Parked = AtBarrier = 0;
        Array.Clear(_places);
        Array.Clear(ReturnPlaces);
        Array.Clear(Written);
        StartProducts();
        Array.Clear(PredicatesWritten);
        Local.Clear();
        StartClock();
        StartCopies();
        _range = default;
        foreach ((int slot, _) in Group.Program.Constants) Written[slot] = uint.MaxValue;
        foreach ((int slot, string name) in Group.Program.Specials)
        {
            Written[slot] = uint.MaxValue;
            for (int lane = 0; lane < 32; lane++) Registers[slot * 32 + lane] = SpecialRegisters.Value(name, this, lane);
        }
    }

    private void Fill(int slot, ulong value) => new Span<ulong>(Registers + slot * 32, 32).Fill(value);

    /// <summary>Runs lanes until all wait or have exited, or the slice is over. False if nothing could run.</summary>
    internal bool Run(int slice)
    {
        if (Ready == 0) return false;
        PtxOp[] ops = Group.Program.Ops;
        // Every other slice runs the lanes that are furthest, so that lanes in a loop do not starve those that they wait for.
        _last = !_last;
        Yields = false;
        int left = slice;
        while (Ready != 0 && left > 0 && !Yields)
        {
            uint mask = Choose(_last, out int pc, out int limit);
            bool together = true;
            try
            {
                do
                {
                    PtxOp op = ops[pc];
                    Current = op;
                    uint active = op.Guard < 0 ? mask : mask & Predicate(op.Guard, op.GuardNegated, mask);
                    left--;
                    together = op.Step(this, mask, active, ref pc);
                }
                while (together && pc < limit && left > 0 && !Yields);
            }
            catch (DivideByZeroException)
            {
                // PTX leaves the value open.
                throw Fault<PtxLimitFault>(BitOperations.TrailingZeroCount(mask), "an integer is divided by zero");
            }
            if (together) SetPlaces(mask, pc);
        }
        Group.Spend(slice - left);
        return true;
    }

    /// <summary>The ready lanes at the lowest place (or the highest), and the next place at which other lanes are met.</summary>
    private uint Choose(bool lowest, out int pc, out int limit)
    {
        pc = lowest ? int.MaxValue : -1;
        for (uint rest = Ready; rest != 0; rest &= rest - 1)
        {
            int place = _places[BitOperations.TrailingZeroCount(rest)];
            if (lowest ? place < pc : place > pc) pc = place;
        }
        uint mask = 0;
        limit = int.MaxValue;
        for (uint rest = Ready; rest != 0; rest &= rest - 1)
        {
            int lane = BitOperations.TrailingZeroCount(rest);
            if (_places[lane] == pc) mask |= 1u << lane;
            else if (_places[lane] > pc && _places[lane] < limit) limit = _places[lane];
        }
        return mask;
    }

    internal void SetPlaces(uint mask, int pc)
    {
        for (; mask != 0; mask &= mask - 1) _places[BitOperations.TrailingZeroCount(mask)] = pc;
    }

    internal int Place(int lane) => _places[lane];

    /// <summary>The lanes that wait at the warp-wide instruction there.</summary>
    internal uint ParkedAt(int pc)
    {
        uint found = 0;
        for (uint rest = Parked; rest != 0; rest &= rest - 1)
        {
            int lane = BitOperations.TrailingZeroCount(rest);
            if (_places[lane] == pc) found |= 1u << lane;
        }
        return found;
    }

    internal void Exit(uint mask)
    {
        Live &= ~mask;
        // Nobody waits for a lane that has left: those that wait look again.
        Parked = 0;
        Group.Barriers.Check(Group);
    }

    /// <summary>A register to read.</summary>
    internal ulong* Read(int slot, uint mask)
    {
        if ((Written[slot] & mask) != mask) throw Unwritten(slot, mask);
        return Registers + slot * 32;
    }

    /// <summary>A register to write: call it after the operands were read.</summary>
    internal ulong* Write(int slot, uint mask)
    {
        Written[slot] |= mask;
        return Registers + slot * 32;
    }

    internal uint Predicate(int index, bool negated, uint mask)
    {
        if ((PredicatesWritten[index] & mask) != mask)
            throw Fault<UnwrittenRegisterFault>(
                BitOperations.TrailingZeroCount(mask & ~PredicatesWritten[index]), $"the predicate {Group.Program.PredicateNames[index]} was never written");
        return negated ? ~Predicates[index] : Predicates[index];
    }

    internal void SetPredicate(int index, uint mask, uint values)
    {
        PredicatesWritten[index] |= mask;
        Predicates[index] = (Predicates[index] & ~mask) | (values & mask);
    }

    private UnwrittenRegisterFault Unwritten(int slot, uint mask)
    {
        int lane = BitOperations.TrailingZeroCount(mask & ~Written[slot]);
        string why = (Pending[slot] >> lane & 1) != 0 ? "is the result of an asynchronous product that was not waited for" : "was never written";
        return Fault<UnwrittenRegisterFault>(lane, $"the register {Group.Program.SlotName(slot)} {why}");
    }

    /// <summary>A fault of the instruction being run, in that lane.</summary>
    internal T Fault<T>(int lane, string message) where T : PtxFault =>
        (T)Activator.CreateInstance(
            typeof(T), System.Reflection.BindingFlags.Instance | System.Reflection.BindingFlags.Public | System.Reflection.BindingFlags.NonPublic, null,
            [$"{Group.Program.Name}, line {Current.Line} ({Current.Text}), {Where(lane)}: {message}"], null)!;

    internal string Where(int lane)
    {
        int thread = Thread(lane);
        PtxLaunchShape shape = Group.Shape;
        return $"group ({Group.X}, {Group.Y}, {Group.Z}), thread ({thread % shape.X}, {thread / shape.X % shape.Y}, {thread / shape.X / shape.Y})";
    }

    /// <summary>The number of a lane's thread in the group.</summary>
    internal int Thread(int lane) => Index * 32 + lane;
}
