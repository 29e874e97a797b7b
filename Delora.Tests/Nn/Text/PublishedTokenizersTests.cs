using System.Text.Json;
using CsCheck;
using Delora.Core;
using Delora.Nn;

namespace Delora.Tests.Nn;

/// <summary>
/// Small tokenizers with the structure of the published ones, and the ids that HuggingFace's <c>tokenizers</c> 0.23.2 gives for them: the
/// files of each folder, and <c>cases.json</c> with texts (special tokens parsed) and pairs of texts with a length.
/// </summary>
public sealed class PublishedTokenizersTests
{
    private static string Root => Path.Combine(AppContext.BaseDirectory, "Golden", "Data", "tokenizer");

    public static TheoryData<string> Names => [.. Directory.GetDirectories(Root).Where(folder => IsPublished(folder))
        .Select(folder => Path.GetFileName(folder)!).Order(StringComparer.Ordinal)];

    private static TextTokenizer Load(string name) => TextTokenizer.Load(Path.Combine(Root, name));

    [Fact]
    public void AllFamiliesAreThere() => Assert.Equal(16, Names.Count);

    [Theory, MemberData(nameof(Names))]
    public void IdsAreThoseOfHuggingFace(string name)
    {
        TextTokenizer tokenizer = Load(name);
        using JsonDocument golden = Read(name);
        int count = 0;
        foreach (JsonElement one in golden.RootElement.GetProperty("cases").EnumerateArray())
        {
            string text = one.GetProperty("text").GetString()!;
            Assert.Equal((text, Ids(one, "ids")), (text, [.. tokenizer.Encode(text, parseSpecial: true)]), Same);
            count++;
        }
        Assert.True(count > 90);
    }

    [Theory, MemberData(nameof(Names))]
    public void PairsAreCutAndFramedAsHuggingFaceDoes(string name)
    {
        TextTokenizer tokenizer = Load(name);
        using JsonDocument golden = Read(name);
        int cut = 0;
        foreach (JsonElement one in golden.RootElement.GetProperty("pairs").EnumerateArray())
        {
            string text = one.GetProperty("text").GetString()!;
            string? pair = one.GetProperty("pair").GetString();
            int most = one.GetProperty("max").GetInt32();
            (int[] ids, int[] types) = tokenizer.EncodeForModel(text, pair, most, parseSpecial: true);
            Assert.Equal(($"{text} + {pair} in {most}", Ids(one, "ids")), ($"{text} + {pair} in {most}", ids), Same);
            Assert.Equal(Ids(one, "types"), types);
            if (ids.Length == most) cut++;
        }
        Assert.NotEqual(0, cut);
    }

    [Theory, MemberData(nameof(Names))]
    public void TextNeverBecomesASpecialToken(string name)
    {
        TextTokenizer tokenizer = Load(name);
        // The unknown token is what WordPiece makes of words that it has no tokens for.
        int[] special = [.. tokenizer.SpecialTokens.Where(entry => entry.Key != "[UNK]").Select(entry => entry.Value)];
        Assert.NotEmpty(special);
        foreach ((string token, int id) in tokenizer.SpecialTokens)
        {
            Assert.DoesNotContain(tokenizer.Encode($"a {token} b{token}"), special.Contains);
            Assert.Contains(id, tokenizer.Encode($"a {token} b{token}", parseSpecial: true));
        }
        Gen.String.Sample(text => Assert.DoesNotContain(tokenizer.Encode(text), special.Contains), iter: 200);
    }

    [Theory, MemberData(nameof(Names))]
    public void ByteLevelTextComesBack(string name)
    {
        TextTokenizer tokenizer = Load(name);
        if (!tokenizer.Description.StartsWith("byte-level", StringComparison.Ordinal) || name is "prefix_space") return;
        Gen.OneOf(Gen.String, Gen.String[Gen.Char["aB1 \n\t'\u00E9\u65E5\uD83D\uDE00\u0000.?\u2003"], 0, 40]).Sample(text =>
        {
            // Composition may change a text that can be written in several ways; then what comes back is its composed form.
            string wanted = SentencePieceTokenizerTests.WellFormed(text);
            if (name == "qwen2") wanted = UnicodeNormalization.Compose(wanted);
            Assert.Equal(wanted, tokenizer.Decode([.. tokenizer.Encode(text)]));
        });
    }

    [Theory, MemberData(nameof(Names))]
    public void SavedFilesAreReadAgain(string name)
    {
        using var folder = new TemporaryFolder();
        TextTokenizer tokenizer = Load(name);
        tokenizer.Save(folder.Path);
        Assert.Equal(
            Directory.GetFiles(Path.Combine(Root, name)).Select(Path.GetFileName).Where(file => file != "cases.json").Order(),
            Directory.GetFiles(folder.Path).Select(Path.GetFileName).Order());
        Assert.Equal(tokenizer.Encode("Hello world 123"), TextTokenizer.Load(folder.Path).Encode("Hello world 123"));
    }

    [Theory, MemberData(nameof(Names))]
    public void OneMillionLettersTakeBoundedTime(string name)
    {
        TextTokenizer tokenizer = Load(name);
        foreach (char letter in "a \u65E5\n")
            Assert.True(tokenizer.Encode(new string(letter, 1 << 20)).Count <= 3 << 20);
    }

    [Fact]
    public void RolesComeFromTheFiles()
    {
        Assert.Equal((null, "<|im_end|>", "<|endoftext|>", false), Roles("qwen2"));
        Assert.Equal(("<|begin_of_text|>", "<|end_of_text|>", null, true), Roles("llama3"));
        Assert.Equal(("<s>", null, null, true), Roles("nemo"));
        Assert.Equal(("<s>", "</s>", "<pad>", true), Roles("roberta"));
        Assert.Equal(("<s>", "</s>", null, true), Roles("llama2"));
        Assert.Equal(("<|endoftext|>", "<|endoftext|>", null, false), Roles("gpt2_files"));
        Assert.Equal((null, null, "[PAD]", false), Roles("bert"));
        Assert.Equal((null, null, "[PAD]", false), Roles("bert_files"));

        static (string?, string?, string?, bool) Roles(string name)
        {
            TextTokenizer tokenizer = Load(name);
            return (Name(tokenizer.BeginId), Name(tokenizer.EndId), Name(tokenizer.PadId), tokenizer.AddsBegin);

            string? Name(int? id) => id is null ? null : tokenizer.SpecialTokens.Single(entry => entry.Value == id).Key;
        }
    }

    [Fact]
    public void SidesOfPaddingAndTruncationAreRead()
    {
        using var folder = new TemporaryFolder();
        folder.Write("tokenizer.json", File.ReadAllText(Path.Combine(Root, "bert", "tokenizer.json")));
        TextTokenizer right = TextTokenizer.Load(folder.Path);
        folder.Write("tokenizer_config.json", """{"padding_side": "left", "truncation_side": "left", "pad_token": "[MASK]"}""");
        TextTokenizer left = TextTokenizer.Load(folder.Path);
        Assert.Equal((false, true), (right.PadsLeft, left.PadsLeft));
        Assert.Equal(left.SpecialTokens["[MASK]"], left.PadId);
        int[] all = right.EncodeForModel("a b c d").Ids;
        Assert.Equal([all[0], all[1], all[2], all[^1]], right.EncodeForModel("a b c d", maxLength: 4).Ids);
        Assert.Equal([all[0], all[3], all[4], all[^1]], left.EncodeForModel("a b c d", maxLength: 4).Ids);
        Assert.Equal([all[0], all[^1]], left.EncodeForModel("a b c d", maxLength: 2).Ids);
        Assert.Throws<ArgumentOutOfRangeException>(() => right.EncodeForModel("a", maxLength: 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => right.EncodeForModel("a", "b", maxLength: 2));
        folder.Write("tokenizer_config.json", """{"padding_side": "top"}""");
        Assert.Contains("padding_side", Assert.Throws<DeloraFormatException>(() => TextTokenizer.Load(folder.Path)).Message);
        folder.Write("tokenizer_config.json", """{"do_lower_case": false}""");
        Assert.Contains("do_lower_case", Assert.Throws<DeloraFormatException>(() => TextTokenizer.Load(folder.Path)).Message);
    }

    [Fact]
    public void WordPieceDecodesToWordsWithSpacesBetween()
    {
        TextTokenizer tokenizer = Load("bert");
        Assert.Equal("unhappiness , running !", tokenizer.Decode(tokenizer.EncodeForModel("Unhappiness, running!").Ids));
    }

    [Fact]
    public void HalvesOfCharactersAreReplaced()
    {
        foreach (string name in Names.Select(row => row.Data))
        {
            TextTokenizer tokenizer = Load(name);
            Assert.Equal(tokenizer.Encode("a\uFFFDb \uFFFD"), tokenizer.Encode("a\uD800b \uDC00"));
        }
    }

    private static bool IsPublished(string folder)
    {
        using JsonDocument cases = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "cases.json")));
        return cases.RootElement.ValueKind == JsonValueKind.Object;
    }

    private static JsonDocument Read(string name) => JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Root, name, "cases.json")));

    private static int[] Ids(JsonElement one, string field) => [.. one.GetProperty(field).EnumerateArray().Select(id => id.GetInt32())];

    private static bool Same((string Text, int[] Ids) wanted, (string Text, int[] Ids) got) => wanted.Ids.SequenceEqual(got.Ids);
}
