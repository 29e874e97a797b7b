using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using CsCheck;
using Delora.Core;
using Delora.Nn;

namespace Delora.Tests.Nn;

public sealed class ByteLevelTokenizerTests
{
    private static string Golden => Path.Combine(AppContext.BaseDirectory, "Golden", "Data", "tokenizer", "byte_level");

    private static readonly TextTokenizer Sample = TextTokenizer.Load(Golden);

    [Fact]
    public void IdsAreThoseOfHuggingFace()
    {
        using JsonDocument cases = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Golden, "cases.json")));
        Assert.Equal(119, cases.RootElement.GetArrayLength());
        foreach (JsonElement one in cases.RootElement.EnumerateArray())
        {
            string text = one.GetProperty("text").GetString()!;
            Assert.Equal(one.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()), Sample.Encode(text));
        }
        Assert.Equal((600, 599, 599, false), (Sample.VocabularySize, Sample.BeginId, Sample.EndId, Sample.AddsBegin));
    }

    [Fact]
    public void EveryTextComesBack() => Gen.String.Sample(text =>
        Assert.Equal(SentencePieceTokenizerTests.WellFormed(text), Sample.Decode([.. Sample.Encode(text)])));

    [Theory]
    [InlineData("Hello  world", "Hello", " ", " world")]
    [InlineData("it's 'LL they'll''", "it", "'s", " '", "LL", " they", "'ll", "''")]
    [InlineData("a\n\n b\n", "a", "\n\n", " b", "\n")]
    [InlineData("   ", "   ")]
    [InlineData(" 12a½b!?", " 12", "a", "½", "b", "!?")]
    [InlineData("\t\tx", "\t", "\t", "x")]
    [InlineData("\U0001D407ello \U0001F600\U0001F600x", "\U0001D407ello", " \U0001F600\U0001F600", "x")]
    [InlineData("e\u0301 a\u00A0\u3000b", "e", "\u0301", " a", "\u00A0", "\u3000", "b")]
    public void WordsAreThoseOfGpt2(string text, params string[] words)
    {
        List<string> found = [];
        for (ReadOnlySpan<char> left = text; !left.IsEmpty; left = left[found[^1].Length..])
            found.Add(left[..Gpt2Words.FirstLength(left)].ToString());
        Assert.Equal(words, found);
    }

    [Fact]
    public void SpecialTokensAreOnlyTextAndDecodeToNothing()
    {
        Assert.DoesNotContain(599, Sample.Encode("<|endoftext|>"));
        Assert.Equal("ab", Sample.Decode([.. Sample.Encode("a"), 599, .. Sample.Encode("b")]));
        Assert.Equal([599, .. Sample.Encode("a")], Sample.Encode("a", addBegin: true));
        Assert.Throws<ArgumentOutOfRangeException>(() => Sample.Decode(-1));
    }

    [Fact]
    public void OneMillionLettersTakeBoundedTime()
    {
        TextTokenizer tokenizer = BpeTrainer.Train([new string('a', 4096)], 270);
        foreach (string text in (string[])[new('a', 1 << 20), new(' ', 1 << 20), new('\u65E5', 1 << 20)])
        {
            var watch = Stopwatch.StartNew();
            Assert.Equal(text, tokenizer.Decode([.. tokenizer.Encode(text)]));
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(30), $"{watch.Elapsed}");
        }
    }

    [Fact]
    public void WhatChangesIdsIsRefusedByName()
    {
        Refused(json => json["normalizer"] = JsonNode.Parse("""{"type": "Nmt"}"""), "normalizer.type", "Nmt");
        Refused(json => json["pre_tokenizer"] = null, "pre_tokenizer");
        Refused(json => json["pre_tokenizer"]!["type"] = "Whitespace", "pre_tokenizer.type", "Whitespace");
        Refused(json => json["pre_tokenizer"]!["type"] = "Split", "pre_tokenizer.pattern", "missing");
        Refused(json => json["pre_tokenizer"]!["behavior"] = "x", "pre_tokenizer.behavior");
        Refused(json => json["decoder"]!["type"] = "Fuse", "decoder.type", "Fuse");
        Refused(json => json["post_processor"]!["type"] = "Other", "post_processor.type", "Other");
        Refused(json => json["post_processor"]!["type"] = "TemplateProcessing", "post_processor.single");
        Refused(json => json["something"] = 1, "something");
        Refused(json => json["added_tokens"]![0]!["strip"] = false, "added_tokens[0].strip");
        Refused(json => json["added_tokens"]![0]!["content"] = "", "added_tokens[0].content");
        Refused(json => json["added_tokens"]![0]!["id"] = 3, "<|endoftext|>", "599", "3");
        foreach (string model in (string[])["WordLevel", "Unigram"]) Refused(json => json["model"]!["type"] = model, "model.type", model);
        Refused(json => json["model"]!["dropout"] = 0.1, "model.dropout");
        Refused(json => json["model"]!["byte_fallback"] = true, "model.byte_fallback");
        Refused(json => json["model"]!["continuing_subword_prefix"] = "##", "model.continuing_subword_prefix", "##");
        Refused(json => json["model"]!["end_of_word_suffix"] = "</w>", "model.end_of_word_suffix");
        Refused(json => json["model"]!["other"] = 1, "model.other");
        Refused(json => json.Remove("model"), "model");
    }

    [Fact]
    public void TokensAndMergesAreChecked()
    {
        Refused(json => Vocabulary(json)["a"] = -1, "'a'", "negative");
        Refused(json => Vocabulary(json)["a"] = 600, "'a'", "too large");
        Refused(json => Vocabulary(json)["a"] = int.MaxValue, "'a'", "too large");
        Refused(json => Vocabulary(json)["a"] = 1e12, "'a'");
        Refused(json => Vocabulary(json)["a"] = "1", "'a'");
        Refused(json => Vocabulary(json)["a"] = 98, "id 98");
        Refused(json => Vocabulary(json)["\u65E5"] = 600, "\u65E5", "alphabet");
        Refused(json => Vocabulary(json)["zzzz" + Vocabulary(json).Remove("a")] = 97, "0x61");
        Refused(json => Special(json, "a", 97), "'a' is a special token, and byte 0x61 has no other");
        Refused(json => Merges(json).Add("q q"), "'qq' is not in the vocabulary");
        Refused(json => Merges(json).Add("\u65E5 q"), "'\u65E5' is not in the vocabulary");
        Refused(json => Merges(json).Add("a b c"), "merges[");
        Refused(json => Merges(json).Add(1), "merges[");
        Refused(json => Merges(json).Add(Merges(json)[0]!.DeepClone()), "before");
        Refused(json => Merges(json).Add("<|endoftext| >"), "'<|endoftext|' is not in the vocabulary");
        using var folder = new TemporaryFolder();
        string text = File.ReadAllText(Path.Combine(Golden, "tokenizer.json"));
        string merge = Read()["model"]!["merges"]![1]!.ToJsonString();
        Assert.Contains(merge, text);
        folder.Write("tokenizer.json", text.Replace(merge, "\"\\ud800 a\"", StringComparison.Ordinal));
        Assert.Contains("model.merges[1]: is not a valid text",
            Assert.Throws<DeloraFormatException>(() => TextTokenizer.Load(folder.Path)).Message);
        folder.Write("tokenizer.json", """{"version": "1", "version": "2"}""");
        Assert.Throws<DeloraFormatException>(() => TextTokenizer.Load(folder.Path));
        folder.Write("tokenizer.json", string.Concat(Enumerable.Repeat("{\"a\":", 10_000)));
        Assert.Throws<DeloraFormatException>(() => TextTokenizer.Load(folder.Path));
    }

    [Fact]
    public void TheFilesOfTheFirstYearsHaveNoType()
    {
        using var folder = new TemporaryFolder();
        JsonObject json = Read();
        Assert.True(json["model"]!.AsObject().Remove("type"));
        folder.Write("tokenizer.json", json.ToJsonString());
        Assert.Equal(Sample.Encode("the models' weights"), TextTokenizer.Load(folder.Path).Encode("the models' weights"));
        Refused(changed => changed["model"] = new JsonObject { ["vocab"] = changed["model"]!["vocab"]!.DeepClone() }, "model.merges");
    }

    [Fact]
    public void NullIsNoBeginOrEndToken()
    {
        Assert.Equal((599, 599), Roles("{}"));
        Assert.Equal((null, 599), Roles("""{"bos_token": null}"""));
        foreach ((string token, string asked) in ((string, string)[])[("bos_token", "add_bos_token"), ("eos_token", "add_eos_token")])
            Assert.Contains($"{asked}: true is not possible", Assert.Throws<DeloraFormatException>(
                () => Roles($"{{\"{token}\": null, \"{asked}\": true}}")).Message);
        Assert.Equal((599, null), Roles("""{"eos_token": null}"""));
        Assert.Contains("eos_token.content", Assert.Throws<DeloraFormatException>(() => Roles("""{"eos_token": {}}""")).Message);

        static (int? Begin, int? End) Roles(string config)
        {
            using var folder = new TemporaryFolder();
            folder.Write("tokenizer.json", Read().ToJsonString());
            folder.Write("tokenizer_config.json", config);
            TextTokenizer tokenizer = TextTokenizer.Load(folder.Path);
            Assert.Equal(tokenizer.AddsBegin, tokenizer.BeginId is not null && config.Contains("add_bos_token"));
            return (tokenizer.BeginId, tokenizer.EndId);
        }
    }

    [Fact]
    public void SavingLeavesNoOtherTokenizerBehind()
    {
        using var folder = new TemporaryFolder();
        foreach (string name in (string[])["tokenizer.model", "special_tokens_map.json", "added_tokens.json", "config.json"])
            folder.Write(name, "x");
        TextTokenizer trained = BpeTrainer.Train([], 257);
        trained.Save(folder.Path);
        Assert.Equal(["config.json", "tokenizer.json", "tokenizer_config.json"],
            Directory.GetFiles(folder.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal(trained.Description, TextTokenizer.Load(folder.Path).Description);
    }

    [Fact]
    public void TextsThatAreNoUnicodeAreRefusedWithTheirPlace()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("tokenizer.json"), [.. "{\"version\": \""u8, 0xFF, .. "\"}"u8]);
        Assert.Contains("tokenizer.json: byte 13", Assert.Throws<DeloraFormatException>(() => TextTokenizer.Load(folder.Path)).Message);
        Assert.Contains("x.json: a.b[1].c: ", Assert.Throws<DeloraFormatException>(() =>
            JsonFields.Parse("{\"a\": {\"b\": [0, {\"c\": \"\\uD83D\"}]}}"u8.ToArray(), "x.json")).Message);
        Assert.Contains("x.json: ", Assert.Throws<DeloraFormatException>(() =>
            JsonFields.Parse("{\"a\": {\"\\udc00\": 1}}"u8.ToArray(), "x.json")).Message);
        Assert.Equal("\U0001F600", JsonFields.Parse("{\"a\": \"\\ud83d\\ude00\"}"u8.ToArray(), "x.json").Text("a", null));
    }

    [Fact]
    public void PairsMayBeLists()
    {
        using var folder = new TemporaryFolder();
        JsonObject json = Read();
        json["model"]!["merges"] = new JsonArray([.. Merges(json).Select(merge => merge!.GetValue<string>().Split(' '))
            .Select(pair => new JsonArray(pair[0], pair[1]))]);
        json["truncation"] = new JsonObject();
        folder.Write("tokenizer.json", json.ToJsonString());
        List<string> warnings = [];
        TextTokenizer tokenizer = TextTokenizer.Load(folder.Path, warnings.Add);
        Assert.Equal(Sample.Encode("the models' weights"), tokenizer.Encode("the models' weights"));
        Assert.Contains("truncation", Assert.Single(warnings));
        Assert.Equal(599, tokenizer.EndId);
    }

    [Fact]
    public void AFolderWithoutTokenizerSaysWhatWasLookedFor()
    {
        using var folder = new TemporaryFolder();
        string message = Assert.Throws<DeloraFormatException>(() => TextTokenizer.Load(folder.Path)).Message;
        Assert.Contains("tokenizer.model", message);
        Assert.Contains("tokenizer.json", message);
        Assert.Contains("vocab.txt", message);
        folder.Write("vocab.json", "{}");
        Assert.Contains("merges.txt", Assert.Throws<DeloraFormatException>(() => TextTokenizer.Load(folder.Path)).Message);
        Assert.Throws<DeloraFormatException>(() => TextTokenizer.Load(folder.File("none")));
        folder.Write("tokenizer.json", "");
        Assert.Throws<DeloraFormatException>(() => TextTokenizer.Load(folder.Path));
    }

    private static void Refused(Action<JsonObject> change, params string[] words)
    {
        using var folder = new TemporaryFolder();
        JsonObject json = Read();
        change(json);
        folder.Write("tokenizer.json", json.ToJsonString());
        var error = Assert.Throws<DeloraFormatException>(() => TextTokenizer.Load(folder.Path));
        Assert.All((string[])["tokenizer.json", .. words], word => Assert.Contains(word, error.Message));
    }

    private static void Special(JsonObject json, string name, int id) =>
        json["added_tokens"]!.AsArray().Add(new JsonObject { ["id"] = id, ["content"] = name, ["special"] = true });

    private static JsonObject Read() => JsonNode.Parse(File.ReadAllText(Path.Combine(Golden, "tokenizer.json")))!.AsObject();

    private static JsonObject Vocabulary(JsonObject json) => json["model"]!["vocab"]!.AsObject();

    private static JsonArray Merges(JsonObject json) => json["model"]!["merges"]!.AsArray();
}
