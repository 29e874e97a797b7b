using System.Text;
using CsCheck;
using Delora.Core;
using Delora.Nn;

namespace Delora.Tests.Nn;

public sealed class TextDataTests
{
    private const int End = 256, No = -100;

    /// <summary>Its ids are the bytes.</summary>
    private static readonly TextTokenizer Bytes = BpeTrainer.Train([], 257);

    private static TokenRows Load(string name, string text, int length = 8, Action<string>? warn = null)
    {
        using var folder = new TemporaryFolder();
        return TextData.Load(folder.Write(name, text), Bytes, length, warn);
    }

    [Fact]
    public void BlocksOverlapByOneIdAndLoseNoTarget()
    {
        TokenRows rows = new TokenBlocks([1, 2, 3, 4, 5, 6, 7, 8], 3);
        (int[] inputs, int[] targets) = rows.Take(0, 1, 2, 1);
        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 0, 0, 4, 5, 6], inputs);
        Assert.Equal([2, 3, 4, 5, 6, 7, 8, No, No, 5, 6, 7], targets);
        Gen.Select(Gen.Int[2, 50], Gen.Int[1, 12]).Sample((count, length) =>
        {
            var blocks = new TokenBlocks(Enumerable.Range(0, count), length);
            (_, int[] all) = blocks.Take([.. Enumerable.Range(0, blocks.Count)]);
            Assert.Equal(Enumerable.Range(1, count - 1), all.Where(id => id != No));
            Assert.Equal(blocks.Count * length, all.Length);
            Assert.True(all.Length - (count - 1) < length);
        });
        Assert.Throws<ArgumentOutOfRangeException>(() => rows.Take(3));
        Assert.Throws<ArgumentOutOfRangeException>(() => rows.Take(-1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new TokenBlocks([1], 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => new TokenBlocks([1, 2], 0));
        Assert.Empty(rows.Take().Inputs);
    }

    [Fact]
    public void DocumentsEndWithTheEndToken()
    {
        TokenBlocks blocks = TokenBlocks.Join(Bytes, ["ab", "c"], 4);
        Assert.Equal(['a', 'b', End, 'c'], blocks.Take(0).Inputs);
        Assert.Equal(['b', End, 'c', End], blocks.Take(0).Targets);
        Assert.Equal(5, blocks.TokenCount);
    }

    [Fact]
    public void APlainFileIsOneDocument()
    {
        (int[] inputs, int[] targets) = Load("a.txt", "\uFEFFab\n", 4).Take(0);
        Assert.Equal(['a', 'b', '\n', 0], inputs);
        Assert.Equal(['b', '\n', End, No], targets);
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("bad.txt"), [.. "abc"u8, 0xFF, .. "de"u8]);
        Assert.Contains("byte 3", Assert.Throws<DeloraFormatException>(() => TextData.Load(folder.File("bad.txt"), Bytes, 8)).Message);
        Assert.Throws<DeloraFormatException>(() => TextData.Load(folder.File("none.txt"), Bytes, 8));
        Assert.Throws<DeloraFormatException>(() => Load("empty.txt", "\uFEFF"));
        Assert.Throws<DeloraFormatException>(() => Load("empty.txt", ""));
    }

    [Fact]
    public void ExamplesAreRowsOfTheirOwnAndPromptsNoTargets()
    {
        TokenRows rows = Load("a.jsonl", "\uFEFF{\"text\": \"ab\"}\r\n\n  \t\n{\"prompt\": \"xyz\", \"completion\": \"ab\"}");
        Assert.Equal((2, 5), (rows.Count, rows.Length));
        (int[] inputs, int[] targets) = rows.Take(0, 1);
        Assert.Equal(['a', 'b', End, End, End, 'x', 'y', 'z', 'a', 'b'], inputs);
        Assert.Equal(['b', End, No, No, No, No, No, 'a', 'b', End], targets);
        Assert.Equal(rows.Take(1).Targets, Load("a.json", """{"prompt": "xyz", "completion": "ab"}""").Take(0).Targets);
    }

    [Fact]
    public void TrustedTextsMayHoldSpecialTokens()
    {
        using var folder = new TemporaryFolder();
        string file = folder.Write("a.jsonl",
            "{\"prompt\": \"a<|endoftext|>\", \"completion\": \"<|endoftext|>b\"}\n{\"text\": \"ab<|endoftext|>\"}");
        TokenRows rows = TextData.Load(file, Bytes, 60, parseSpecial: true);
        Assert.Equal(['a', End, End, 'b'], rows.Take(0).Inputs);
        // The prompt's token is no target, the completion's is; and the end is there once.
        Assert.Equal([No, End, 'b', End], rows.Take(0).Targets);
        Assert.Equal(['b', End, No, No], rows.Take(1).Targets);
        Assert.Equal(2 * 13 + 2, TextData.Load(file, Bytes, 60).Take(0).Inputs.Length);
    }

    [Fact]
    public void ATokenOfPromptAndCompletionIsATarget()
    {
        using var folder = new TemporaryFolder();
        TextTokenizer tokenizer = BpeTrainer.Train(["xab xab xab"], 300);
        string file = folder.Write("a.jsonl", """{"prompt": "xa", "completion": "b!"}""");
        TokenRows rows = TextData.Load(file, tokenizer, 8);
        Assert.Equal([.. tokenizer.Encode("xab!")], rows.Take(0).Inputs);
        Assert.Equal(['!', tokenizer.EndId!.Value], rows.Take(0).Targets);
    }

    [Fact]
    public void PromptsAreMaskedByTheirExtentHoweverTheyAreCut()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("tokenizer.model"),
            new SentencePieceBytes().Add("bc", "ab", "\u2581", "a", "b", "c", "x").ToBytes());
        TextTokenizer tokenizer = TextTokenizer.Load(folder.Path);
        int Id(int piece) => SentencePieceBytes.FirstPiece + piece;
        // Alone the prompt ends with ab; before c, with a and bc.
        Assert.Equal([Id(2), Id(6), Id(1)], tokenizer.Encode("xab"));
        string file = folder.Write("a.jsonl", "{\"prompt\": \"xab\", \"completion\": \"cx\"}");
        (int[] inputs, int[] targets) = TextData.Load(file, tokenizer, 20).Take(0);
        Assert.Equal([1, Id(2), Id(6), Id(3), Id(0), Id(6)], inputs);
        Assert.Equal([No, No, No, Id(0), Id(6), 2], targets);
        // Further back as well: every token of the prompt alone is another one, and none is a target.
        file = folder.Write("b.jsonl", "{\"prompt\": \"x\\u2581 a\", \"completion\": \"b\"}\n{\"prompt\": \"\", \"completion\": \"a\"}");
        Assert.Equal([No, No, No, No, Id(1), 2, No, Id(2), Id(3), 2, No, No, No, No], Wide(TextData.Load(file, tokenizer, 20)));

        static int[] Wide(TokenRows rows) => [.. rows.Take(0).Targets, No, .. rows.Take(1).Targets, No];
    }

    [Fact]
    public void NoLengthIsTooLongForWhatIsThere()
    {
        TokenRows rows = Load("a.jsonl", "{\"text\": \"ab\"}", int.MaxValue);
        Assert.Equal(['b', End], rows.Take(0).Targets);
        Assert.Throws<ArgumentOutOfRangeException>(() => Load("a.txt", "ab", int.MaxValue));
        TokenRows blocks = Load("a.txt", "ab", TokenBlocks.MaxLength);
        Assert.Equal((1, TokenBlocks.MaxLength, 2L), (blocks.Count, blocks.Length, blocks.TargetCount));
        Assert.Contains("more than", Assert.Throws<ArgumentOutOfRangeException>(() => blocks.Take(new int[128])).Message);
    }

    [Fact]
    public void APointerIsNoData() => Assert.Contains("Git LFS", Assert.Throws<DeloraFormatException>(() =>
        Load("a.txt", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")).Message);

    [Fact]
    public void LongRowsAreCutAndEmptyOnesLeftOut()
    {
        List<string> warnings = [];
        TokenRows rows = Load("a.jsonl",
            "{\"text\": \"abcdefgh\", \"id\": 1}\n{\"text\": \"\"}\n{\"text\": \"abc\", \"id\": 2}", 3, warnings.Add);
        Assert.Equal((2, 3), (rows.Count, rows.Length));
        Assert.Equal(['b', 'c', 'd', 'b', 'c', End], rows.Take(0, 1).Targets);
        Assert.Equal(3, warnings.Count);
        Assert.Contains("line 1: the field 'id'", warnings[0]);
        Assert.Contains("1 of 2 rows", warnings[1]);
        Assert.Contains("1 rows without text", warnings[2]);
    }

    [Theory]
    [InlineData("{\"text\": ")]
    [InlineData("[1]")]
    [InlineData("{\"text\": 1}")]
    [InlineData("{\"text\": \"\\ud800\"}")]
    [InlineData("{\"text\": \"a\", \"text\": \"b\"}")]
    [InlineData("{\"prompt\": \"a\"}")]
    [InlineData("{\"completion\": \"a\"}")]
    [InlineData("{\"text\": \"a\", \"prompt\": \"a\"}")]
    [InlineData("{}")]
    [InlineData("{\"text\": \"a\"} {\"text\": \"a\"}")]
    public void ABadLineIsNamed(string line)
    {
        string good = string.Concat(Enumerable.Repeat("{\"text\": \"a\"}\n", 56));
        var error = Assert.Throws<DeloraFormatException>(() => Load("data.jsonl", good + line + "\n" + good));
        Assert.Contains("data.jsonl: line 57", error.Message);
    }

    [Fact]
    public void NothingToLearnIsAnError()
    {
        Assert.Contains("no row", Assert.Throws<DeloraFormatException>(() => Load("a.jsonl", "\n \n")).Message);
        Assert.Contains("empty", Assert.Throws<DeloraFormatException>(() => Load("a.jsonl", "{\"text\": \"\"}")).Message);
        string masked = "{\"prompt\": \"" + new string('x', 20) + "\", \"completion\": \"a\"}";
        Assert.Contains("masked", Assert.Throws<DeloraFormatException>(() => Load("a.jsonl", masked)).Message);
        List<string> warnings = [];
        TokenRows rows = Load("a.jsonl", masked + "\n{\"text\": \"a\"}", warn: warnings.Add);
        Assert.Equal(['a', End], (int[])[rows.Take(0).Inputs[0], rows.Take(0).Targets[0]]);
        Assert.Equal((1, 1), (rows.Count, rows.Length));
        Assert.Contains("1 rows were left out: their completions do not begin within 8 positions", Assert.Single(warnings));
        Assert.Contains("masked", Assert.Throws<DeloraFormatException>(() => Load("a.jsonl", masked + "\n{\"text\": \"\"}")).Message);
        // The one position that is left has a target: the last that is not cut off.
        Assert.Equal([No, No, 'y'], Load("a.jsonl", "{\"prompt\": \"xxx\", \"completion\": \"yz\"}", 3).Take(0).Targets);
        Assert.Throws<DeloraFormatException>(() => Load("a.jsonl", "{\"prompt\": \"xxxx\", \"completion\": \"yz\"}", 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => Load("a.jsonl", "{\"text\": \"a\"}", 0));
    }

    [Fact]
    public void TheFingerprintIsThatOfTheContents()
    {
        string one = Load("a.txt", "abcdefgh", 4).Fingerprint;
        Assert.Equal(64, one.Length);
        Assert.Equal(one, Load("b.txt", "abcdefgh", 4).Fingerprint);
        Assert.NotEqual(one, Load("a.txt", "abcdefgi", 4).Fingerprint);
        Assert.NotEqual(one, Load("a.txt", "abcdefgh", 5).Fingerprint);
        string text = Load("a.jsonl", "{\"text\": \"abc\"}").Fingerprint;
        // The first token is no target anyway.
        Assert.Equal(text, Load("a.jsonl", "{\"prompt\": \"a\", \"completion\": \"bc\"}").Fingerprint);
        Assert.NotEqual(text, Load("a.jsonl", "{\"prompt\": \"ab\", \"completion\": \"c\"}").Fingerprint);
        Assert.NotEqual(text, Load("a.jsonl", "{\"prompt\": \"abc\", \"completion\": \"\"}").Fingerprint);
    }
}
