using System.Text;
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
        Gen.Select(Gen.Int[0, 1], Gen.Int[0, 1_000_000].Array[0, 30], Gen.String).Sample((which, numbers, text) =>
        {
            TextTokenizer tokenizer = tokenizers[which];
            // What a model makes: any tokens, also bytes that are no UTF-8.
            foreach (int[] ids in (int[][])[[.. tokenizer.Encode(text)], [.. numbers.Select(value => value % tokenizer.VocabularySize)]])
            {
                TokenDecoder decoder = tokenizer.StartDecoding();
                string[] pieces = [.. ids.Select(decoder.Append), decoder.Flush()];
                Assert.Equal(Plain(tokenizer, ids), string.Concat(pieces));
                Assert.Equal(Plain(tokenizer, ids), tokenizer.Decode(ids));
                Assert.All(pieces, piece => Assert.Equal(piece, SentencePieceTokenizerTests.WellFormed(piece)));
            }
        });
    }

    [Fact]
    public void ACharacterComesWithItsLastByteOrNever()
    {
        TokenDecoder decoder = SentencePiece().StartDecoding();
        int first = SentencePieceBytes.FirstByte;
        int[] ids = [first + 0xE6, first + 0x97, first + 0xA5, first + 0xF0, 1];
        // The control token ends what was begun.
        Assert.Equal(["", "", "\u65E5", "", "\uFFFD"], ids.Select(decoder.Append));
        Assert.Equal(["", "\uFFFD"], ((int[])[first + 0xE6, 0]).Select(decoder.Append));
        Assert.Equal("", decoder.Append(first + 0x97)[1..]);
        Assert.Equal("", decoder.Append(first + 0xF0));
        Assert.Equal("\uFFFD", decoder.Flush());
        Assert.Equal("", decoder.Flush());
    }

    [Fact]
    public void IdsThatOnlyTheModelHasAreNoText()
    {
        foreach (TextTokenizer tokenizer in (TextTokenizer[])[ByteLevel, SentencePiece()])
        {
            int[] ids = [.. tokenizer.Encode("a"), tokenizer.VocabularySize, int.MaxValue, .. tokenizer.Encode("a")];
            TokenDecoder decoder = tokenizer.StartDecoding();
            Assert.Equal(tokenizer.Decode([.. ids.Where(id => id < tokenizer.VocabularySize)]), tokenizer.Decode(ids));
            Assert.Equal(tokenizer.Decode(ids), string.Concat(ids.Select(decoder.Append)) + decoder.Flush());
            Assert.Throws<ArgumentOutOfRangeException>(() => decoder.Append(-1));
        }
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
        // The unknown token is a special one.
        Assert.Equal("aa", tokenizer.Decode(0, a - 1, 0, a - 1));
    }

    /// <summary>The bytes of all tokens at once, between tokens that have none.</summary>
    private static string Plain(TextTokenizer tokenizer, int[] ids)
    {
        var text = new StringBuilder();
        List<byte> bytes = [];
        bool first = true;
        foreach (int id in ids)
        {
            byte[] own = tokenizer.BytesOf(id).ToArray();
            bool prefix = first && tokenizer.SpecialTokens.ContainsKey("<unk>") && id >= SentencePieceBytes.FirstPiece;
            if (own.Length == 0) End();
            else bytes.AddRange(prefix && own[0] == ' ' ? own[1..] : own);
            first &= own.Length == 0;
        }
        End();
        return text.ToString();

        void End()
        {
            text.Append(Encoding.UTF8.GetString(bytes.ToArray()));
            bytes.Clear();
        }
    }
}
