using System.Text.Json.Nodes;
using Delora.Core;
using Delora.Nn;

namespace Delora.Tests.Nn;

/// <summary>A stranger's tokenizer file ends in an error, not the process: neither the stack, nor time, nor memory are used up.</summary>
public sealed class TokenizerLimitsTests
{
    /// <summary>Where the stack ends, nothing is caught.</summary>
    [Fact]
    public void GroupsWithinGroupsAreLimited()
    {
        Assert.Equal(@"(?:\u0061)", RegexTranslator.Translate("(a)"));
        string most = new string('(', 50) + "a" + new string(')', 50);
        Assert.Matches(RegexTranslator.Translate(most + most), "aa");
        foreach (string open in (string[])["(", "(?:", "(?=", "(?i:"])
            Assert.Contains("more than 50 groups within each other", Assert.Throws<FormatException>(
                () => RegexTranslator.Translate(string.Concat(Enumerable.Repeat(open, 100_000)))).Message);
    }

    /// <summary>Each match takes little, and there are many.</summary>
    [Fact]
    public void APatternThatIsSlowAtEveryPlaceIsStopped()
    {
        // To look ahead takes the third power of what is left of the text: some milliseconds, far below the limit of one match.
        var splitter = new RegexSplitter(RegexTranslator.Translate("a(?=[ab]*[ad]*[ae]*[cf])a|a"), SplitBehavior.Isolated, inverts: false);
        var error = Assert.Throws<DeloraException>(() => splitter.Split(new string('a', 1500), isFirst: true, _ => { }));
        Assert.Contains("takes too long for a text of 1500 characters", error.Message);
        Assert.Null(error.InnerException);
    }

    [Fact]
    public void NormalizersThatMakeATextExplodeAreRefused()
    {
        string file = Path.Combine(AppContext.BaseDirectory, "Golden", "Data", "tokenizer", "llama2", "tokenizer.json");
        JsonNode json = JsonNode.Parse(File.ReadAllText(file))!;
        var steps = json["normalizer"]!["normalizers"]!.AsArray();
        int own = steps.Count;
        for (int i = 0; i < 200; i++)
            steps.Add(new JsonObject { ["type"] = "Replace", ["pattern"] = new JsonObject { ["String"] = "a" }, ["content"] = "aa" });
        Assert.Contains("makes ", Refused("aaaa"));
        Assert.Contains($"normalizers[{own + 8}]", Refused("aaaa"));
        steps.RemoveRange(own + 1, steps.Count - own - 1);
        steps[own]!["content"] = new string('b', 1 << 20);
        Assert.Contains($"Replace makes {(1L << 32) + 1}", Refused(new string('a', 1 << 12)));
        Assert.NotEmpty(Load().Encode("b"));

        TextTokenizer Load()
        {
            using var folder = new TemporaryFolder();
            folder.Write("tokenizer.json", json.ToJsonString());
            return TextTokenizer.Load(folder.Path);
        }

        string Refused(string text)
        {
            TextTokenizer tokenizer = Load();
            return Assert.Throws<DeloraException>(() => tokenizer.Encode(text)).Message;
        }
    }
}
