using System.Buffers.Binary;
using System.Text;
using Delora.Nn;

namespace Delora.Tests.Nn;

/// <summary>
/// Makes SentencePiece models: by default a sound one with &lt;unk&gt;, &lt;s&gt;, &lt;/s&gt;, the 256 bytes and some pieces.
/// </summary>
internal sealed class SentencePieceBytes
{
    public const int FirstByte = 3, FirstPiece = FirstByte + 256;

    public List<Piece> Pieces { get; } =
    [
        new("<unk>", 0, PieceKind.Unknown), new("<s>", 0, PieceKind.Control), new("</s>", 0, PieceKind.Control),
        .. Enumerable.Range(0, 256).Select(value => new Piece($"<0x{value:X2}>", 0, PieceKind.Byte)),
    ];

    /// <summary>Fields of trainer_spec and normalizer_spec; null leaves one out.</summary>
    public int? Type { get; set; } = 2;
    public bool? ByteFallback { get; set; } = true;
    public bool? ExtraSpaceRemoved { get; set; } = false;
    public bool? DummyPrefix { get; set; }
    public bool? Escaped { get; set; }
    public bool? Suffix { get; set; }
    public int? BeginId { get; set; }
    public byte[]? Rules { get; set; }
    public byte[]? ReverseRules { get; set; }

    /// <summary>Adds pieces, the first with the highest score.</summary>
    public SentencePieceBytes Add(params IEnumerable<string> texts)
    {
        foreach (string text in texts) Pieces.Add(new Piece(text, FirstPiece - Pieces.Count, PieceKind.Normal));
        return this;
    }

    public byte[] ToBytes() =>
    [
        .. Pieces.SelectMany(piece => Field(1,
            [.. Field(1, Encoding.UTF8.GetBytes(piece.Text)), .. Score(2, piece.Score), .. Field(3, (int)piece.Kind)])),
        .. Field(2, [.. Field(3, Type), .. Field(24, Suffix), .. Field(35, ByteFallback), .. Field(41, BeginId)]),
        .. Field(3, [.. Rules is null ? [] : Field(2, Rules),
            .. Field(3, DummyPrefix), .. Field(4, ExtraSpaceRemoved), .. Field(5, Escaped)]),
        .. ReverseRules is null ? [] : Field(5, Field(2, ReverseRules)),
    ];

    private static byte[] Field(int field, byte[] bytes) => [.. Varint((uint)(field << 3 | 2)), .. Varint((uint)bytes.Length), .. bytes];

    private static byte[] Field(int field, int? number) =>
        number is { } value ? [.. Varint((uint)(field << 3)), .. Varint((uint)value)] : [];

    private static byte[] Field(int field, bool? flag) => Field(field, flag is { } value ? (value ? 1 : 0) : null as int?);

    private static byte[] Score(int field, float number)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteSingleLittleEndian(bytes, number);
        return [.. Varint((uint)(field << 3 | 5)), .. bytes];
    }

    private static byte[] Varint(uint value) => value < 128 ? [(byte)value] : [(byte)(value | 128), .. Varint(value >> 7)];
}
