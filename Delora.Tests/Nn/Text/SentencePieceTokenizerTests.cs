using System.Diagnostics;
using CsCheck;
using Delora.Core;
using Delora.Nn;

namespace Delora.Tests.Nn;

public sealed class SentencePieceTokenizerTests
{
    private const string File = "tokenizer.model";

    private static readonly string[] Common =
    [
        "\u2581t", "he", "\u2581the", "\u2581a", "an", "\u2581an", "\u2581\u2581", "aa", "aaaa",
        "\u2581", "t", "h", "e", "a", "n", "s", "<", "\u00E9", "x\u65E5", "\U0001F600",
    ];

    private static readonly TextTokenizer Shared = Sample();

    private static TextTokenizer Load(byte[] model, string? config = null, Action<string>? warn = null)
    {
        using var folder = new TemporaryFolder();
        System.IO.File.WriteAllBytes(folder.File(File), model);
        if (config is not null) folder.Write("tokenizer_config.json", config);
        return TextTokenizer.Load(folder.Path, warn);
    }

    private static TextTokenizer Sample() => Load(new SentencePieceBytes().Add(Common).ToBytes());

    private static int Id(string piece) => SentencePieceBytes.FirstPiece + Array.IndexOf(Common, piece);

    private static int Byte(int value) => SentencePieceBytes.FirstByte + value;

    [Fact]
    public void TextIsMergedByScore()
    {
        TextTokenizer tokenizer = Sample();
        Assert.Equal([Id("\u2581the"), Id("\u2581an")], tokenizer.Encode("the an"));
        Assert.Equal([1, Id("\u2581the")], tokenizer.Encode("the", addBegin: true));
        Assert.Empty(tokenizer.Encode(""));
        Assert.Equal([1], tokenizer.Encode("", addBegin: true));
        // Without a piece: by its bytes; where only a longer piece has the character, that one.
        Assert.Equal([Id("\u2581"), Byte(0xE6), Byte(0x97), Byte(0xA5)], tokenizer.Encode("\u65E5"));
        Assert.Equal([Id("\u2581"), Id("x\u65E5")], tokenizer.Encode("x\u65E5"));
        Assert.Equal([Id("\u2581"), Byte((byte)'x'), Byte((byte)'y')], tokenizer.Encode("xy"));
        Assert.Equal([Id("\u2581"), Byte(0xEF), Byte(0xBF), Byte(0xBD), Id("a")], tokenizer.Encode("\uD800a"));
        Assert.Equal((1, 2, true), (tokenizer.BeginId, tokenizer.EndId, tokenizer.AddsBegin));
        Assert.Equal(259 + Common.Length, tokenizer.VocabularySize);
    }

    [Fact]
    public void TextComesBack() => Gen.String.Sample(text =>
    {
        // Random characters come close to nothing in the vocabulary.
        foreach (string one in (string[])[text, Letters(text)])
        {
            Assert.Equal(WellFormed(one).Replace('\u2581', ' '), Shared.Decode([.. Shared.Encode(one)]));
        }
    });

    [Fact]
    public void IdsAreThoseOfThePlainAlgorithm() => Gen.String.Sample(text =>
    {
        foreach (string one in (string[])[WellFormed(text), Letters(text)]) Assert.Equal(Plain(one), Shared.Encode(one));
    });

    [Fact]
    public void OfEqualPairsTheFirstIsMerged()
    {
        Assert.Equal([Id("\u2581\u2581"), Id("\u2581"), Id("n")], Shared.Encode("  n"));
        Assert.Equal([Id("\u2581"), Id("n"), Id("aa"), Id("a")], Shared.Encode("naaa"));
        // The leftmost also where the pieces are not the same, whatever their order in the file.
        var equal = new SentencePieceBytes { DummyPrefix = false };
        equal.Pieces.AddRange(((string[])["bc", "ab", "a", "b", "c"]).Select(text => new Piece(text, 0, PieceKind.Normal)));
        Assert.Equal([SentencePieceBytes.FirstPiece + 1, SentencePieceBytes.FirstPiece + 4], Load(equal.ToBytes()).Encode("abc"));
    }

    [Fact]
    public void TheNameOfASpecialTokenIsOnlyText()
    {
        // These pieces would add up to the names of a control token and a byte, with scores below those.
        var model = new SentencePieceBytes().Add("\u2581", "<", "s", ">", "s>", "<s", "/", "</", "</s",
            "0", "x", "41", "4", "1", "<0", "x41", "<0x41", "41>");
        TextTokenizer tokenizer = Load(model.ToBytes());
        foreach (string text in (string[])["<s>", "</s>", "<unk>", "<0x41>"])
        {
            Assert.DoesNotContain(tokenizer.Encode(text), id => id is < 3 or 3 + 0x41);
            Assert.Equal(text, tokenizer.Decode([.. tokenizer.Encode(text)]));
        }
        Assert.Equal(["</s>", "<s>", "<unk>"], tokenizer.SpecialTokens.Keys.Order(StringComparer.Ordinal));
        Assert.Equal("a", tokenizer.Decode([1, .. tokenizer.Encode("a"), 2]));
    }

    [Fact]
    public void OneMillionLettersTakeBoundedTime()
    {
        TextTokenizer tokenizer = Sample();
        foreach (string text in (string[])[new('a', 1 << 20), new(' ', 1 << 20), new('\u65E5', 1 << 20)])
        {
            var watch = Stopwatch.StartNew();
            Assert.Equal(text, tokenizer.Decode([.. tokenizer.Encode(text)]));
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(30), $"{watch.Elapsed}");
        }
    }

    [Fact]
    public void WordsAreCutOnlyWhereNoPieceSpansTwo()
    {
        // One more piece, of the lowest score, that spans two words: the whole text is one word then, and the ids else the same.
        TextTokenizer whole = Load(new SentencePieceBytes().Add([.. Common, "\u00E9\u2581\u00E9"]).ToBytes());
        Gen.String.Where(text => !text.Contains('\u00E9')).Sample(text =>
        {
            string letters = Letters(text).Replace('\u00E9', ' ');
            Assert.Equal(whole.Encode(letters + "  " + letters), Shared.Encode(letters + "  " + letters));
        });
        TextTokenizer spanning = Load(new SentencePieceBytes().Add("n\u2581", "\u2581", "n", "a").ToBytes());
        const int First = SentencePieceBytes.FirstPiece;
        Assert.Equal([First + 1, First, First + 3], spanning.Encode("n a"));
        // Many words take a memory of the ids' size, and no time beyond theirs.
        string many = string.Concat(Enumerable.Repeat("the an  ", 1 << 17));
        Assert.Equal(many, Shared.Decode([.. Shared.Encode(many)]));
    }

    [Fact]
    public void WithoutDummyPrefixNothingIsPutBefore()
    {
        TextTokenizer tokenizer = Load(new SentencePieceBytes { DummyPrefix = false }.Add(Common).ToBytes());
        Assert.Equal([Id("he")], tokenizer.Encode("he"));
        Assert.Equal(" the", tokenizer.Decode([.. tokenizer.Encode(" the")]));
    }

    [Fact]
    public void SavingKeepsEveryByte()
    {
        using TemporaryFolder folder = new(), copy = new();
        byte[] model = new SentencePieceBytes().Add(Common).ToBytes();
        System.IO.File.WriteAllBytes(folder.File(File), model);
        folder.Write("tokenizer_config.json", """{ "eos_token": {"content": "</s>"}, "add_bos_token": false }""");
        TextTokenizer tokenizer = TextTokenizer.Load(folder.Path);
        Assert.False(tokenizer.AddsBegin);
        tokenizer.Save(copy.File("deep/model"));
        Assert.Equal(model, System.IO.File.ReadAllBytes(copy.File("deep/model/tokenizer.model")));
        Assert.Equal(2, Directory.GetFiles(copy.File("deep/model")).Length);
        Assert.False(TextTokenizer.Load(copy.File("deep/model")).AddsBegin);
    }

    [Fact]
    public void WhatSentencePieceWouldEncodeOtherwiseIsRefusedByName()
    {
        Refused(new SentencePieceBytes { Type = 1 }, "model_type", "UNIGRAM");
        Refused(new SentencePieceBytes { Type = null }, "model_type", "UNIGRAM");
        Refused(new SentencePieceBytes { ByteFallback = null }, "byte_fallback");
        Refused(new SentencePieceBytes { ExtraSpaceRemoved = null }, "remove_extra_whitespaces");
        Refused(new SentencePieceBytes { Escaped = false }, "escape_whitespaces");
        Refused(new SentencePieceBytes { Suffix = true }, "treat_whitespace_as_suffix");
        Refused(new SentencePieceBytes { Rules = [1] }, "precompiled_charsmap");
        Refused(new SentencePieceBytes { ReverseRules = [1] }, "denormalizer_spec.precompiled_charsmap");
        Refused(new SentencePieceBytes { BeginId = 5 }, "bos_id");
        Refused(new SentencePieceBytes { BeginId = 1 << 30 }, "bos_id");
        Refused(new SentencePieceBytes().Add("a", "a"), "piece 260", "twice");
        Refused(new SentencePieceBytes().Add(""), "piece 259");
        Refused(new SentencePieceBytes().Add(new string('a', 1000)), "piece 259");
        Refused(With(model => model.Pieces.Add(new Piece("b", float.NaN, PieceKind.Normal))), "NaN");
        Refused(With(model => model.Pieces.Add(new Piece("b", 0, PieceKind.UserDefined))), "UserDefined");
        Refused(With(model => model.Pieces.Add(new Piece("b", 0, (PieceKind)9))), "piece 259", "9");
        Refused(With(model => model.Pieces.RemoveAt(20)), "<0x11>");
        Refused(With(model => model.Pieces[0] = new Piece("u", 0, PieceKind.Normal)), "unknown");

        static SentencePieceBytes With(Action<SentencePieceBytes> change)
        {
            var model = new SentencePieceBytes();
            change(model);
            return model;
        }
    }

    [Fact]
    public void NoBytesAreMoreThanRefused()
    {
        byte[] model = new SentencePieceBytes().Add(Common).ToBytes();
        Assert.Throws<DeloraFormatException>(() => Load([]));
        Assert.Throws<DeloraFormatException>(() => Load(model[..^1]));
        Assert.Throws<DeloraFormatException>(() => Load([0x0A, 0x05, 0x0A, 0x03, 0xFF, 0xFF, 0xFF]));
        // The first empty piece of many is refused before the second is made.
        byte[] pieces = [.. Enumerable.Range(0, 1 << 20).Select(i => (byte)(i % 2 == 0 ? 0x0A : 0))];
        Assert.Contains("piece 0:", Assert.Throws<DeloraFormatException>(() => SentencePieceModel.Parse(pieces, File)).Message);
        // Whatever a byte is changed to or the file cut to: a tokenizer, or the one error.
        Gen.Select(Gen.Int[0, model.Length - 1], Gen.Byte, Gen.Bool).Sample((at, value, cut) =>
        {
            byte[] changed = cut ? model[..at] : [.. model];
            if (!cut) changed[at] = value;
            try
            {
                Load(changed).Encode("the an\u65E5");
            }
            catch (DeloraFormatException)
            {
            }
        }, iter: 300);
    }

    [Fact]
    public void TheConfigurationIsChecked()
    {
        byte[] model = new SentencePieceBytes().Add(Common).ToBytes();
        Assert.Contains("'<eos>'", Assert.Throws<DeloraFormatException>(() => Load(model, """{"eos_token": "<eos>"}""")).Message);
        Assert.Contains("add_prefix_space",
            Assert.Throws<DeloraFormatException>(() => Load(model, """{"add_prefix_space": false}""")).Message);
        List<string> warnings = [];
        Load(model, """{"added_tokens_decoder": {"1": {"content": "<s>"}, "4000": {"content": "<pad>"}}}""", warnings.Add);
        Assert.Contains("4000", Assert.Single(warnings));
        Load(model, """{"add_eos_token": true}""", warnings.Add);
        Assert.Contains("add_eos_token", warnings[1]);
        // Whether or not anybody listens.
        foreach ((string config, string told) in ((string, string)[])[("{\"do_lower_case\": true}", "do_lower_case"),
            ("{\"sp_model_kwargs\": {\"enable_sampling\": true}}", "sp_model_kwargs.enable_sampling"),
            ("{\"added_tokens_decoder\": 1}", "added_tokens_decoder")])
            Assert.Contains(told, Assert.Throws<DeloraFormatException>(() => Load(model, config)).Message);
        using var folder = new TemporaryFolder();
        System.IO.File.WriteAllBytes(folder.File(File), model);
        folder.Write("added_tokens.json", "{\"<s>\": 1, \"<pad>\": 5000}");
        TextTokenizer.Load(folder.Path, warnings.Add);
        Assert.EndsWith("ids 5000.", warnings[2]);
        folder.Write("added_tokens.json", "{\"<s>\": \"1\"}");
        Assert.Contains("added_tokens.json", Assert.Throws<DeloraFormatException>(() => TextTokenizer.Load(folder.Path)).Message);
        folder.Write(File, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
        Assert.Contains("Git LFS", Assert.Throws<DeloraFormatException>(() => TextTokenizer.Load(folder.Path)).Message);
    }

    private static void Refused(SentencePieceBytes model, params string[] words)
    {
        var error = Assert.Throws<DeloraFormatException>(() => Load(model.ToBytes()));
        Assert.All((string[])[File, .. words], word => Assert.Contains(word, error.Message));
    }

    /// <summary>
    /// SentencePiece's rule without any cleverness: the best pair of neighbours, the first of equals, until there is none.
    /// </summary>
    private static List<int> Plain(string text)
    {
        if (text.Length == 0) return [];
        List<string> symbols = [.. ("\u2581" + text.Replace(' ', '\u2581')).EnumerateRunes().Select(rune => rune.ToString())];
        while (true)
        {
            int best = -1, at = -1;
            for (int i = 0; i + 1 < symbols.Count; i++)
            {
                int piece = Array.IndexOf(Common, symbols[i] + symbols[i + 1]);
                if (piece >= 0 && (best < 0 || piece < best)) (best, at) = (piece, i);
            }
            if (at < 0) break;
            symbols[at] += symbols[at + 1];
            symbols.RemoveAt(at + 1);
        }
        return [.. symbols.SelectMany(symbol => Common.Contains(symbol)
            ? (IEnumerable<int>)[Id(symbol)]
            : System.Text.Encoding.UTF8.GetBytes(symbol).Select(value => Byte(value)))];
    }

    /// <summary>Text of the letters that the vocabulary merges.</summary>
    private static string Letters(string text) => string.Concat(text.Select(c => "thean \u2581s<\u00E9x\u65E5"[c % 12]));

    /// <summary>Lone surrogates replaced, as UTF-8 does.</summary>
    internal static string WellFormed(string text) => System.Text.Encoding.UTF8.GetString(System.Text.Encoding.UTF8.GetBytes(text));
}
