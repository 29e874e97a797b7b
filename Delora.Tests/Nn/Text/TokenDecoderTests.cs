using CsCheck;
using Delora.Nn;

namespace Delora.Tests.Nn;

public sealed class TokenDecoderTests
{
    private static readonly TextTokenizer ByteLevel = BpeTrainer.Train(["the the hello \u65E5\u672C \u65E5\u672C"], 270);

    private static TextTokenizer SentencePiece()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("tokenizer.model"), new SentencePieceBytes().Add("\u2581", "a", "\u2581a").ToBytes());
        return TextTokenizer.Load(folder.Path);
    }

    [Fact]
    public void PiecesAreWholeCharactersAndTogetherTheText()
    {
        TextTokenizer[] tokenizers = [ByteLevel, SentencePiece()];
        Gen.Select(Gen.Int[0, 1], Gen.Int[0, 255].Array[0, 30], Gen.String).Sample((which, bytes, text) =>
        {
            TextTokenizer tokenizer = tokenizers[which];
            // What a model makes: any tokens, also bytes that are no UTF-8.
            foreach (int[] ids in (int[][])[[.. tokenizer.Encode(text)], [.. bytes.Select(value => value % tokenizer.VocabularySize)]])
            {
                TokenDecoder decoder = tokenizer.StartDecoding();
                string[] pieces = [.. ids.Select(decoder.Append), decoder.Flush()];
                Assert.Equal(tokenizer.Decode(ids), string.Concat(pieces));
                Assert.All(pieces, piece => Assert.Equal(piece, SentencePieceTokenizerTests.WellFormed(piece)));
            }
        });
    }

    [Fact]
    public void ACharacterComesWithItsLastByte()
    {
        TokenDecoder decoder = SentencePiece().StartDecoding();
        int first = SentencePieceBytes.FirstByte;
        int[] ids = [first + 0xE6, first + 0x97, first + 0xA5, first + 0xF0, 1];
        Assert.Equal(["", "", "\u65E5", "", ""], ids.Select(decoder.Append));
        Assert.Equal("\uFFFD", decoder.Flush());
        Assert.Equal("", decoder.Flush());
        Assert.Throws<ArgumentOutOfRangeException>(() => decoder.Append(100_000));
    }

    [Fact]
    public void OnlyAtTheBeginningASpaceIsTheTokenizers()
    {
        TextTokenizer tokenizer = SentencePiece();
        int a = SentencePieceBytes.FirstPiece + 2;
        Assert.Equal("a a", tokenizer.Decode(1, a, a));
        TokenDecoder after = tokenizer.StartDecoding(continues: true);
        Assert.Equal(" a", after.Append(a));
        // A byte token is that byte, no sign of a beginning.
        Assert.Equal(" a", tokenizer.Decode(SentencePieceBytes.FirstByte + ' ', a - 1));
    }
}
