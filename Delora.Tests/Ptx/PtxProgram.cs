namespace Delora.Tests.Ptx;

/// <summary>An entry of a text with all functions of it, decoded.</summary>
internal sealed class PtxProgram
{
    internal required string Name { get; init; }

    internal required PtxFunction Entry { get; init; }

    internal required PtxOp[] Ops { get; init; }

    /// <summary>Registers, constants and special registers.</summary>
    internal required int Slots { get; init; }

    internal required IReadOnlyDictionary<int, string> Names { get; init; }

    internal required string[] PredicateNames { get; init; }

    internal required IReadOnlyList<(int Slot, ulong Value)> Constants { get; init; }

    internal required IReadOnlyList<(int Slot, string Name)> Specials { get; init; }

    internal required int FunctionCount { get; init; }

    internal required int SharedBytes { get; init; }

    internal required int LocalBytes { get; init; }

    internal required int ParameterBytes { get; init; }

    internal int PredicateCount => PredicateNames.Length;

    internal string SlotName(int slot) => Names.TryGetValue(slot, out string? name) ? name : $"slot {slot}";
}
