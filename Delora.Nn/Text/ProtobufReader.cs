using System.Buffers.Binary;

namespace Delora.Nn;

/// <summary>
/// Walks over the fields of a protocol-buffers message: a number, and a whole number, four or eight bytes, or bytes. Throws
/// <see cref="InvalidDataException"/> where the bytes are no such message.
/// </summary>
internal ref struct ProtobufReader(ReadOnlySpan<byte> message)
{
    private enum Kind { Number = 0, Eight = 1, Bytes = 2, Four = 5 }

    private ReadOnlySpan<byte> _left = message;
    private ReadOnlySpan<byte> _bytes;
    private ulong _number;
    private Kind _kind;

    /// <summary>The number of the field that was read.</summary>
    public int Field { get; private set; }

    public readonly ReadOnlySpan<byte> Bytes => Is(Kind.Bytes) ? _bytes : default;

    /// <summary>A whole number of 32 bits, or an enumeration's.</summary>
    public readonly int Integer => Is(Kind.Number) ? (int)_number : 0;

    public readonly bool Flag => Is(Kind.Number) && _number != 0;

    public readonly float Float => Is(Kind.Four) ? BinaryPrimitives.ReadSingleLittleEndian(_bytes) : 0;

    /// <summary>Reads the next field; false at the end.</summary>
    public bool Read()
    {
        if (_left.IsEmpty) return false;
        ulong tag = Varint();
        Field = (int)(tag >> 3);
        _kind = (Kind)(tag & 7);
        if (Field < 1 || tag > uint.MaxValue) throw new InvalidDataException("a field has an impossible number");
        if (_kind == Kind.Number) _number = Varint();
        else
            _bytes = Take(_kind switch
            {
                Kind.Bytes => Varint(),
                Kind.Four => 4,
                Kind.Eight => 8,
                _ => throw new InvalidDataException($"field {Field} has the unknown wire type {(int)_kind}"),
            });
        return true;
    }

    private readonly bool Is(Kind kind) =>
        kind == _kind ? true : throw new InvalidDataException($"field {Field} has the wrong wire type {(int)_kind}");

    private ReadOnlySpan<byte> Take(ulong length)
    {
        if (length > (ulong)_left.Length) throw new InvalidDataException($"field {Field} ends beyond its message");
        ReadOnlySpan<byte> taken = _left[..(int)length];
        _left = _left[(int)length..];
        return taken;
    }

    private ulong Varint()
    {
        ulong value = 0;
        for (int i = 0; i < 10 && i < _left.Length; i++)
        {
            value |= (ulong)(_left[i] & 0x7F) << (7 * i);
            if (_left[i] >= 0x80) continue;
            _left = _left[(i + 1)..];
            return value;
        }
        throw new InvalidDataException("a number does not end");
    }
}
