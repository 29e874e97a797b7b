using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using CsCheck;
using Delora.Core;
using Delora.Nn;

namespace Delora.Tests.Nn;

public sealed class TokenizerPartsTests
{
    [Theory]
    [InlineData("\u00E9", "e\u0301")]
    [InlineData("\u212B\u2126", "A\u030A\u03A9")]
    [InlineData("\uAC01\uD55C", "\u1100\u1161\u11A8\u1112\u1161\u11AB")]
    [InlineData("a\u0323\u0301", "a\u0301\u0323")]
    [InlineData("\u0958", "\u0915\u093C")]
    [InlineData("\U0001D15E", "\U0001D157\U0001D165")]
    [InlineData("\u1EC7", "e\u0323\u0302")]
    public void DecompositionIsThatOfUnicode(string text, string parts)
    {
        Assert.Equal(UnicodeNormalization.Decompose(parts), UnicodeNormalization.Decompose(text));
        Assert.Equal(UnicodeNormalization.Compose(parts), UnicodeNormalization.Compose(text));
        Assert.Equal(UnicodeNormalization.Compose(text), UnicodeNormalization.Compose(UnicodeNormalization.Decompose(text)));
    }

    [Fact]
    public void CompositionKnowsWhatIsNotComposedAgain()
    {
        Assert.Equal("\u00E9\uAC01", UnicodeNormalization.Compose("e\u0301\u1100\u1161\u11A8"));
        Assert.Equal("\u0915\u093C", UnicodeNormalization.Compose("\u0958"));
        Assert.Equal("\u0301a", UnicodeNormalization.Compose("\u0301a"));
        // A mark of the same class stands between.
        Assert.Equal("\u00E0\u05AE\u0315b", UnicodeNormalization.Compose("a\u0315\u0300\u05AEb"));
        Assert.Equal("\u1100\u0300\u1161", UnicodeNormalization.Compose("\u1100\u0300\u1161"));
        Gen.Char["ae\u0301\u0323\u0308\u00E9\u0958\u1100\u1161\u11A8\uAC00\u0344"].Array[0, 12].Select(chars => new string(chars)).Sample(text =>
        {
            string composed = UnicodeNormalization.Compose(text);
            Assert.Equal(composed, UnicodeNormalization.Compose(composed));
            Assert.Equal(UnicodeNormalization.Decompose(text), UnicodeNormalization.Decompose(composed));
        });
    }

    [Theory]
    [InlineData(@"\p{L}+", "a\U0001D407\u65E5\U00020000 b", "a\U0001D407\u65E5\U00020000", "b")]
    [InlineData(@"\p{Lu}\p{Ll}?", "\U00010400\U00010428x", "\U00010400\U00010428")]
    [InlineData(@"\p{Han}+", "\u6F22\U00020000\u3042\U0001D407\u5B57", "\u6F22\U00020000", "\u5B57")]
    [InlineData(@"[\p{Han}x]", "\U00020000x\U0001D407", "\U00020000", "x")]
    [InlineData(@"(?i:'s|'k)", "'s'S'\u017F'K'\u212A'x", "'s", "'S", "'\u017F", "'K", "'\u212A")]
    [InlineData(@"[^\s\p{L}\p{N}]++", "a \U0001F600! 1", "\U0001F600!")]
    [InlineData(@"\s+(?!\S)|\s", " \u0085\u3000a", " \u0085", "\u3000")]
    [InlineData(@"[a-c\-\]\u00E9]{2}", "ab-]\u00E9ad", "ab", "-]", "\u00E9a")]
    [InlineData(@"\x{65E5}|\u672c|\x41", "\u65E5\u672CA", "\u65E5", "\u672C", "A")]
    [InlineData(@".", "\U0001F600\n\u0085", "\U0001F600", "\u0085")]
    [InlineData(@"\p{N}{1,3}", "1234\u0663\U0001D7D8", "123", "4\u0663\U0001D7D8")]
    public void PatternsMatchWholeCharacters(string pattern, string text, params string[] words)
    {
        List<string> found = [];
        new RegexSplitter(RegexTranslator.Translate(pattern), SplitBehavior.Removed, inverts: true).Split(
            text, isFirst: true, word => found.Add(word.ToString()));
        Assert.Equal(words, found);
    }

    [Theory]
    [InlineData("Isolated", false, "a", "-", "-", "b")]
    [InlineData("Removed", false, "a", "b")]
    [InlineData("Removed", true, "-", "-")]
    [InlineData("Contiguous", false, "a", "--", "b")]
    [InlineData("MergedWithPrevious", false, "a-", "-", "b")]
    [InlineData("MergedWithNext", false, "a", "-", "-b")]
    public void BehavioursAreThoseOfHuggingFace(string behavior, bool inverts, params string[] words)
    {
        List<string> found = [];
        new RegexSplitter("-", Enum.Parse<SplitBehavior>(behavior), inverts).Split("a--b", isFirst: true, word => found.Add(word.ToString()));
        Assert.Equal(words, found);
    }

    [Theory]
    [InlineData(@"\w+")]
    [InlineData(@"\b")]
    [InlineData(@"^a")]
    [InlineData(@"a$")]
    [InlineData(@"(a+)+")]
    [InlineData(@"(a*)*b")]
    [InlineData(@"(?:a|a)+")]
    [InlineData(@"a{1,3}+")]
    [InlineData(@"a**")]
    [InlineData(@"a{9999}")]
    [InlineData(@"a{2,1}")]
    [InlineData(@"(a")]
    [InlineData(@"a)")]
    [InlineData(@"[a")]
    [InlineData(@"[]")]
    [InlineData(@"[z-a]")]
    [InlineData(@"[a-z&&[b]]")]
    [InlineData(@"[[:alpha:]]")]
    [InlineData(@"\p{Greek}")]
    [InlineData(@"\P{Han}")]
    [InlineData(@"\pL")]
    [InlineData(@"(?<x>a)")]
    [InlineData(@"(?<=a)b")]
    [InlineData(@"(a)\1")]
    [InlineData(@"(?i:[a-z])")]
    [InlineData(@"(?i:\p{L})")]
    [InlineData(@"(?i:ss)")]
    [InlineData(@"(?i:é)")]
    [InlineData(@"[\x{20000}-\x{2A6DF}]")]
    [InlineData("\U0001F600")]
    [InlineData(@"[\u3400-\u4DBF]")]
    [InlineData(@"\")]
    public void PatternsThatAreNotUnderstoodAreRefused(string pattern) =>
        Assert.StartsWith("at character", Assert.Throws<FormatException>(() => RegexTranslator.Translate(pattern)).Message);

    [Fact]
    public void NoPatternDoesMoreThanBeRefused() => Gen.String[Gen.Char[@"ab\()[]{}|?*+-^&pP:!i,1"], 0, 14].Sample(pattern =>
    {
        try
        {
            var unused = new Regex(RegexTranslator.Translate(pattern));
        }
        catch (FormatException)
        {
        }
    });

    [Fact]
    public void StandInsHaveTheCategoryOfWhatTheyStandFor()
    {
        for (int rune = 0x10000; rune <= 0x10FFFF; rune++)
        {
            (char[] text, int[] places) = StandIns.Replace(new Rune(rune).ToString());
            Assert.Equal([0, 2], places);
            if (Rune.GetUnicodeCategory(new Rune(rune)) != char.GetUnicodeCategory(Assert.Single(text)))
                Assert.Fail($"U+{rune:X}");
        }
    }

    [Fact]
    public void AddedTokensAreTheLongestOfTheLeftmost()
    {
        var tokens = new AddedTokens(
        [
            ("<a>", new AddedToken("<a>", 1, Special: true)), ("<a><b>", new AddedToken("<a><b>", 2, Special: true)),
            ("ab", new AddedToken("ab", 3, Special: false, SingleWord: true)),
            ("#", new AddedToken("#", 4, Special: false, TakesLeft: true, TakesRight: true)),
        ]);
        Assert.Equal("x|2|y|1", Cut("x<a><b>y<a>", parseSpecial: true));
        Assert.Equal("x<a><b>y<a>", Cut("x<a><b>y<a>", parseSpecial: false));
        Assert.Equal("cab |3|. abc \u00E9ab", Cut("cab ab. abc \u00E9ab", parseSpecial: false));
        Assert.Equal("a|4|4|b", Cut("a  #\n#\tb", parseSpecial: false));
        var blank = new AddedTokens([(" ", new AddedToken(" ", 5, Special: false, TakesRight: true))]);
        Assert.Equal([(0, 1, false), (1, 3, true), (4, 1, false)], blank.Split("a   b", false).Select(x => (x.Start, x.Length, x.Token is not null)));
        Assert.Equal("", Cut("", parseSpecial: true));

        string Cut(string text, bool parseSpecial) => string.Join('|', tokens.Split(text, parseSpecial)
            .Select(part => part.Token?.Id.ToString() ?? text.Substring(part.Start, part.Length)));
    }

    [Theory]
    [InlineData("qwen2", "pre_tokenizer.pretokenizers[0].pattern.Regex", "at character 2")]
    [InlineData("llama2", "decoder.decoders[0].type", "Other")]
    [InlineData("llama2", "model.byte_fallback", "ByteLevel")]
    [InlineData("llama2", "model.vocab", "<0x41>")]
    [InlineData("llama2", "post_processor.special_tokens.<s>.ids", "99999")]
    [InlineData("llama2", "post_processor.single", "A once")]
    [InlineData("roberta", "post_processor.cls", "no special token")]
    [InlineData("bert", "model.unk_token", "not in the vocabulary")]
    [InlineData("bert", "normalizer.accents", "not supported")]
    [InlineData("bert", "decoder.prefix", "'##'")]
    [InlineData("bert", "model.max_input_chars_per_word", "at least 1")]
    [InlineData("metaspace", "pre_tokenizer.prepend_scheme", "sometimes")]
    public void WhatIsWrongIsNamed(string name, string field, string word)
    {
        string file = Path.Combine(AppContext.BaseDirectory, "Golden", "Data", "tokenizer", name, "tokenizer.json");
        JsonNode json = JsonNode.Parse(File.ReadAllText(file))!;
        switch (field)
        {
            case "pre_tokenizer.pretokenizers[0].pattern.Regex": json["pre_tokenizer"]!["pretokenizers"]![0]!["pattern"]!["Regex"] = @"\w+"; break;
            case "decoder.decoders[0].type": json["decoder"]!["decoders"]![0]!["type"] = "Other"; break;
            case "model.byte_fallback": json["model"]!["byte_fallback"] = false; break;
            case "model.vocab":
                JsonObject vocabulary = json["model"]!["vocab"]!.AsObject();
                vocabulary["qqqq"] = vocabulary["<0x41>"]!.DeepClone();
                vocabulary.Remove("<0x41>");
                break;
            case "post_processor.special_tokens.<s>.ids": json["post_processor"]!["special_tokens"]!["<s>"]!["ids"] = new JsonArray(99999); break;
            case "post_processor.single": json["post_processor"]!["single"]!.AsArray().RemoveAt(1); break;
            case "post_processor.cls": json["post_processor"]!["cls"]![1] = 77; break;
            case "model.unk_token": json["model"]!["unk_token"] = "[WHAT]"; break;
            case "normalizer.accents": json["normalizer"]!["accents"] = true; break;
            case "decoder.prefix": json["decoder"]!["prefix"] = "@@"; break;
            case "model.max_input_chars_per_word": json["model"]!["max_input_chars_per_word"] = 0; break;
            case "pre_tokenizer.prepend_scheme": json["pre_tokenizer"]!["prepend_scheme"] = "sometimes"; break;
        }
        using var folder = new TemporaryFolder();
        folder.Write("tokenizer.json", json.ToJsonString());
        string message = Assert.Throws<DeloraFormatException>(() => TextTokenizer.Load(folder.Path)).Message;
        // What is missing together is named by what had to be there.
        if (field != "model.byte_fallback") Assert.Contains(field, message);
        Assert.Contains(word, message);
        Assert.Contains("tokenizer.json", message);
    }

    [Theory]
    [InlineData("qwen2")]
    [InlineData("llama2")]
    [InlineData("metaspace")]
    [InlineData("roberta")]
    [InlineData("bert")]
    public void NoFileDoesMoreThanBeRefused(string name)
    {
        string file = Path.Combine(AppContext.BaseDirectory, "Golden", "Data", "tokenizer", name, "tokenizer.json");
        string text = File.ReadAllText(file);
        string[] values = ["null", "-1", "1e999", "\"\"", "\"x\"", "[]", "{}", "[[[1]]]", "true", "{\"type\": \"Sequence\"}"];
        using var folder = new TemporaryFolder();
        Gen.Select(Gen.Int[0, 100_000], Gen.Int[0, values.Length]).Sample((place, value) =>
        {
            JsonNode json = JsonNode.Parse(text)!;
            // Tokens and merges are many; what stands beside them is where the parts are.
            JsonNode[] nodes = [.. Nodes(json).Where(node => node.Parent is not null).ToArray()
                .GroupBy(node => node.Parent!.GetPath()).SelectMany(group => group.Take(12))];
            JsonNode chosen = nodes[place % nodes.Length];
            if (value < values.Length) chosen.ReplaceWith(JsonNode.Parse(values[value].Replace("1e999", "12345678901")));
            else if (chosen.Parent is JsonObject parent) parent.Remove(chosen.GetPropertyName());
            folder.Write("tokenizer.json", json.ToJsonString());
            try
            {
                TextTokenizer.Load(folder.Path).EncodeForModel("a <s> \u65E5 [MASK] \U0001F600 12", "b");
            }
            catch (DeloraFormatException error)
            {
                Assert.Contains("tokenizer.json", error.Message);
            }
        }, iter: 300, threads: 1);
    }

    private static IEnumerable<JsonNode> Nodes(JsonNode node)
    {
        yield return node;
        IEnumerable<JsonNode?> inner = node is JsonObject fields ? fields.Select(field => field.Value) : node is JsonArray list ? list : [];
        foreach (JsonNode child in inner.OfType<JsonNode>().SelectMany(Nodes)) yield return child;
    }

    [Theory]
    [InlineData("gpt2_files")]
    [InlineData("bert_files")]
    public void AddedTokensThatOlderFilesLackAreTold(string name)
    {
        using var folder = new TemporaryFolder();
        foreach (string file in Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Golden", "Data", "tokenizer", name)))
            File.Copy(file, folder.File(Path.GetFileName(file)));
        string config = folder.File("tokenizer_config.json");
        JsonObject json = File.Exists(config) ? JsonNode.Parse(File.ReadAllText(config))!.AsObject() : [];
        List<string> warnings = [];
        TextTokenizer before = TextTokenizer.Load(folder.Path, warnings.Add);
        Assert.DoesNotContain(warnings, warning => warning.Contains("added tokens", StringComparison.Ordinal));
        json["added_tokens_decoder"] = new JsonObject
        {
            ["0"] = new JsonObject { ["content"] = "known" },
            [$"{before.VocabularySize}"] = new JsonObject { ["content"] = "<|new|>" },
        };
        folder.Write("tokenizer_config.json", json.ToJsonString());
        Assert.Equal(before.VocabularySize, TextTokenizer.Load(folder.Path, warnings.Add).VocabularySize);
        Assert.Contains(warnings, warning => warning.EndsWith($"beyond the vocabulary are ignored: ids {before.VocabularySize}.", StringComparison.Ordinal));
    }

    [Fact]
    public void OlderFilesAreCheckedLineByLine()
    {
        Refused([("vocab.txt", "[UNK]\n[CLS]\n[SEP]\na\na\n")], "vocab.txt", "line 5", "twice");
        Refused([("vocab.txt", "[UNK]\n\n[SEP]\n")], "line 2", "empty");
        Refused([("vocab.txt", "[UNK]\n[SEP]\n")], "[CLS]");
        Refused([("vocab.txt", "[UNK]\n[CLS]\n[SEP]\n"), ("tokenizer_config.json", "{\"do_basic_tokenize\": false}")], "do_basic_tokenize");
        Refused([("vocab.txt", "[UNK]\n[CLS]\n[SEP]\n"), ("tokenizer_config.json", "{\"tokenizer_class\": \"MPNetTokenizer\"}")], "MPNet");
        string vocabulary = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Golden", "Data", "tokenizer", "gpt2_files", "vocab.json"));
        Refused([("vocab.json", vocabulary), ("merges.txt", "#version\na b c\n")], "merges.txt", "line 2", "two tokens");
        Refused([("vocab.json", vocabulary), ("merges.txt", "a \u4E00\n")], "line 1", "not in the vocabulary");
        Refused([("vocab.json", vocabulary), ("merges.txt", "#version\n"), ("tokenizer_config.json", "{\"tokenizer_class\": \"Qwen2Tokenizer\"}")],
            "tokenizer_class", "Qwen2Tokenizer");
        Refused([("vocab.json", "{\"a\": 0}"), ("merges.txt", "#version\n")], "vocab.json", "byte 0x00");
        Refused([("vocab.json", vocabulary), ("merges.txt", "#version\n"), ("added_tokens.json", "{\"x\": 1}")], "added_tokens.json");

        static void Refused((string Name, string Text)[] files, params string[] words)
        {
            using var folder = new TemporaryFolder();
            foreach ((string name, string text) in files) folder.Write(name, text);
            string message = Assert.Throws<DeloraFormatException>(() => TextTokenizer.Load(folder.Path)).Message;
            Assert.All(words, word => Assert.Contains(word, message));
        }
    }
}
