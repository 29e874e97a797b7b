using System.Text;
using Delora.Core;

namespace Delora.Nn;

/// <summary>What a piece of a SentencePiece vocabulary is.</summary>
internal enum PieceKind { Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6 }

/// <summary>A token of a SentencePiece vocabulary; its id is its place.</summary>
internal sealed record Piece(string Text, float Score, PieceKind Kind);

/// <summary>
/// A SentencePiece <c>.model</c> file, which is a <c>ModelProto</c> message: a BPE vocabulary with byte fallback and without
/// normalization rules. Everything else is refused, because it would be encoded otherwise than by SentencePiece.
/// </summary>
internal sealed class SentencePieceModel
{
    /// <summary>SentencePiece's own limit is 16 by default.</summary>
    private const int MaxPieceLength = 64;

    private readonly string _file;
    private readonly List<Piece> _pieces = [];
    private readonly HashSet<string> _texts = new(StringComparer.Ordinal);
    private int _type = 1, _beginId = 1, _endId = 2;
    private bool _byteFallback, _suffix, _extraSpaceRemoved = true, _escaped = true, _rules, _reverseRules;

    private SentencePieceModel(string file) => _file = file;

    public IReadOnlyList<Piece> Pieces => _pieces;

    /// <summary>Whether a space is put before every text.</summary>
    public bool DummyPrefix { get; private set; } = true;

    /// <summary>The id of the token of byte 0; the others follow it.</summary>
    public int FirstByte { get; private set; }

    public int? BeginId => _beginId < 0 ? null : _beginId;

    public int? EndId => _endId < 0 ? null : _endId;

    /// <exception cref="DeloraFormatException">The bytes are no such model, or one that is not supported.</exception>
    public static SentencePieceModel Parse(ReadOnlySpan<byte> bytes, string file)
    {
        var model = new SentencePieceModel(file);
        try
        {
            model.Read(bytes);
        }
        catch (Exception error) when (error is InvalidDataException or DecoderFallbackException)
        {
            throw new DeloraFormatException(file, null, $"is no SentencePiece model: {error.Message}.", error);
        }
        model.CheckSettings();
        model.CheckPieces();
        return model;
    }

    private void Read(ReadOnlySpan<byte> bytes)
    {
        for (var reader = new ProtobufReader(bytes); reader.Read();)
        {
            if (reader.Field == 1) Add(ReadPiece(reader.Bytes));
            else if (reader.Field == 2) ReadTrainer(reader.Bytes);
            else if (reader.Field == 3) ReadNormalizer(reader.Bytes);
            else if (reader.Field == 5) ReadDenormalizer(reader.Bytes);
        }
    }

    private static Piece ReadPiece(ReadOnlySpan<byte> bytes)
    {
        var piece = new Piece("", 0, PieceKind.Normal);
        for (var reader = new ProtobufReader(bytes); reader.Read();)
            piece = reader.Field switch
            {
                1 => piece with { Text = StrictUtf8.Encoding.GetString(reader.Bytes) },
                2 => piece with { Score = reader.Float },
                3 => piece with { Kind = (PieceKind)reader.Integer },
                _ => piece,
            };
        return piece;
    }

    private void ReadTrainer(ReadOnlySpan<byte> bytes)
    {
        for (var reader = new ProtobufReader(bytes); reader.Read();)
        {
            if (reader.Field == 3) _type = reader.Integer;
            else if (reader.Field == 24) _suffix = reader.Flag;
            else if (reader.Field == 35) _byteFallback = reader.Flag;
            else if (reader.Field == 41) _beginId = reader.Integer;
            else if (reader.Field == 42) _endId = reader.Integer;
        }
    }

    private void ReadNormalizer(ReadOnlySpan<byte> bytes)
    {
        for (var reader = new ProtobufReader(bytes); reader.Read();)
        {
            if (reader.Field == 2) _rules |= reader.Bytes.Length > 0;
            else if (reader.Field == 3) DummyPrefix = reader.Flag;
            else if (reader.Field == 4) _extraSpaceRemoved = reader.Flag;
            else if (reader.Field == 5) _escaped = reader.Flag;
        }
    }

    private void ReadDenormalizer(ReadOnlySpan<byte> bytes)
    {
        for (var reader = new ProtobufReader(bytes); reader.Read();)
            if (reader.Field == 2) _reverseRules |= reader.Bytes.Length > 0;
    }

    private void CheckSettings()
    {
        string type = _type switch { 1 => "UNIGRAM", 3 => "WORD", 4 => "CHAR", _ => $"number {_type}" };
        Require(_type == 2, "trainer_spec.model_type", $"{type} is not supported; BPE is.");
        Require(_byteFallback, "trainer_spec.byte_fallback", "false is not supported: what is not in the vocabulary would be lost.");
        Require(!_suffix, "trainer_spec.treat_whitespace_as_suffix", "true is not supported.");
        Require(!_rules, "normalizer_spec.precompiled_charsmap", "normalization rules are not supported; 'identity' is.");
        Require(!_reverseRules, "denormalizer_spec.precompiled_charsmap", "rules for the way back are not supported.");
        Require(!_extraSpaceRemoved, "normalizer_spec.remove_extra_whitespaces", "true is not supported.");
        Require(_escaped, "normalizer_spec.escape_whitespaces", "false is not supported.");
    }

    /// <summary>Takes a piece. It is checked at once, so that a file of nonsense is not first made into millions of them.</summary>
    private void Add(Piece piece)
    {
        string? reason =
            piece.Text.Length is 0 or > MaxPieceLength ? $"must have 1 to {MaxPieceLength} characters, not {piece.Text.Length}."
            : !_texts.Add(piece.Text) ? $"'{piece.Text}' is there twice."
            : !float.IsFinite(piece.Score) ? $"'{piece.Text}' has the score {piece.Score}."
            : piece.Kind is not (PieceKind.Normal or PieceKind.Unknown or PieceKind.Control or PieceKind.Byte)
                ? $"'{piece.Text}' is of the kind {piece.Kind}, which is not supported."
            : null;
        if (reason is not null) throw new DeloraFormatException(_file, $"piece {_pieces.Count}", reason);
        _pieces.Add(piece);
    }

    private void CheckPieces()
    {
        Require(_pieces.Count(piece => piece.Kind == PieceKind.Unknown) == 1, "pieces", "exactly one must be the unknown token.");
        CheckBytes();
        foreach ((int id, string field) in ((int, string)[])[(_beginId, "trainer_spec.bos_id"), (_endId, "trainer_spec.eos_id")])
            Require(id < _pieces.Count && (id < 0 || _pieces[id].Kind == PieceKind.Control), field, $"{id} is no control token.");
    }

    private void CheckBytes()
    {
        FirstByte = _pieces.FindIndex(piece => piece.Kind == PieceKind.Byte);
        for (int value = 0; value < 256; value++)
        {
            string name = $"<0x{value:X2}>";
            int id = FirstByte + value;
            Require(FirstByte >= 0 && id < _pieces.Count && _pieces[id] is { Kind: PieceKind.Byte } piece && piece.Text == name, "pieces",
                $"the token {name} is not where it belongs: all 256 byte tokens must follow each other.");
        }
        Require(_pieces.Count(piece => piece.Kind == PieceKind.Byte) == 256, "pieces", "there are more than 256 byte tokens.");
    }

    private void Require(bool condition, string field, string reason)
    {
        if (!condition) throw new DeloraFormatException(_file, field, reason);
    }
}
