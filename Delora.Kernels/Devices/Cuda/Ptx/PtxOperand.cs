using System.Globalization;

namespace Delora.Kernels.Ptx;

/// <summary>
/// What an instruction takes: a register, a number, memory, several registers in braces, or words of PTX as they are (a special register, a label).
/// Text is made of it only when the kernel is complete, so that names may still change.
/// </summary>
internal readonly struct PtxOperand
{
    private readonly object _value;

    private PtxOperand(object value) => _value = value;

    public static implicit operator PtxOperand(PtxRegister register) => new(register);

    public static implicit operator PtxOperand(PtxAddress address) => new(address);

    public static implicit operator PtxOperand(PtxTileAddress tile) => new(tile);

    public static implicit operator PtxOperand(PtxElection election) => new(election);

    public static implicit operator PtxOperand(PtxLabel label) => new(label.Name);

    public static implicit operator PtxOperand(int number) => new(number.ToString(CultureInfo.InvariantCulture));

    public static implicit operator PtxOperand(long number) => new(number.ToString(CultureInfo.InvariantCulture));

    public static implicit operator PtxOperand(float number) => new($"0f{BitConverter.SingleToUInt32Bits(number):X8}");

    public static implicit operator PtxOperand(string words) => new(words);

    public static implicit operator PtxOperand(PtxRegister[] vector) => new(vector);

    /// <summary>Registers in braces: the vector of a wide load, or the fragment of a matrix instruction.</summary>
    internal static PtxOperand Vector(params PtxRegister[] registers) => new(registers);

    /// <inheritdoc/>
    public override string ToString() => _value is PtxRegister[] vector ? $"{{{string.Join(", ", (object[])vector)}}}" : _value.ToString()!;
}

/// <summary>Memory: a register and a constant number of bytes after it.</summary>
internal readonly record struct PtxAddress(PtxRegister Base, int Offset)
{
    public static PtxAddress operator +(PtxAddress address, int bytes) => address with { Offset = checked(address.Offset + bytes) };

    /// <inheritdoc/>
    public override string ToString() =>
        Offset == 0 ? $"[{Base}]" : string.Create(CultureInfo.InvariantCulture, $"[{Base}{(Offset < 0 ? "" : "+")}{Offset}]");
}

/// <summary>A tile of a tensor: the address of its map, and where the tile begins, the dimension whose numbers are neighbors first.</summary>
internal readonly record struct PtxTileAddress(B64 Map, params B32[] Start)
{
    /// <inheritdoc/>
    public override string ToString() => $"[{Map}, {{{string.Join(", ", (object[])Start)}}}]";
}

/// <summary>What an election gives: which lane, and whether the thread is it.</summary>
internal readonly record struct PtxElection(B32 Lane, Pred IsElected)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Lane}|{IsElected}";
}

/// <summary>A place in the text that branches lead to.</summary>
internal readonly record struct PtxLabel(string Name);

/// <summary>A piece of the shared memory of a group.</summary>
/// <param name="Name">What is in it.</param>
/// <param name="Offset">Bytes from the beginning of the shared memory.</param>
/// <param name="ByteLength">How many bytes it has.</param>
internal readonly record struct PtxShared(string Name, int Offset, int ByteLength);
