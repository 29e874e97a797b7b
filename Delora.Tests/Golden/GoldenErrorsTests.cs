using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Delora.Nn;

namespace Delora.Tests.Golden;

/// <summary>
/// What PEFT does with wrong input, call by call: the strict mode refuses and accepts the same, with the same results and as many warnings; the extended
/// mode does so too, except where <c>docs/peft-compatibility.md</c> has a row.
/// </summary>
[Trait("Category", "Golden")]
public sealed partial class GoldenErrorsTests
{
    private const string Category = "errors", FileName = "errors.json";

    /// <summary>How the extended mode differs.</summary>
    private enum Extended
    {
        /// <summary>PEFT accepts, it refuses.</summary>
        Refuses,

        /// <summary>PEFT refuses, it accepts.</summary>
        Accepts,

        /// <summary>Both accept, with another result.</summary>
        OtherResult,
    }

    /// <summary>Every difference of the extended mode; each is a row of the document.</summary>
    private static readonly Dictionary<string, Extended> s_differences = new()
    {
        ["config {\"bias\": \"nope\"}"] = Extended.Refuses,
        ["config {\"module_dropout\": 1.5}"] = Extended.Refuses,
        ["config {\"module_dropout\": -0.1}"] = Extended.Refuses,
        ["config {\"delora_lambda\": \"x\"}"] = Extended.Refuses,
        ["module_dropout negative when wrapping"] = Extended.Refuses,
        ["rank_pattern None when wrapping"] = Extended.Accepts,
        ["lambda numeric text when wrapping"] = Extended.Refuses,
        ["other method on top"] = Extended.Accepts,
        ["active adapter after add_adapter"] = Extended.OtherResult,
        ["get_peft_model on a PeftModel"] = Extended.Refuses,
        ["get_peft_model twice on the same base"] = Extended.Refuses,
        ["unsafe merge with inf"] = Extended.Refuses,
        ["merge unknown adapter"] = Extended.Refuses,
        ["set_adapter while merged"] = Extended.Refuses,
        ["disable_adapter while merged"] = Extended.Refuses,
        ["load: A missing"] = Extended.Refuses,
        ["load: w_norm missing"] = Extended.Refuses,
        ["load: all of one layer missing"] = Extended.Refuses,
        ["load: empty checkpoint"] = Extended.Refuses,
        ["load: unexpected key"] = Extended.Refuses,
        ["load_adapter: A missing"] = Extended.Refuses,
        ["load_adapter: unexpected key"] = Extended.Refuses,
        ["load: peft_type LORA in the config"] = Extended.Refuses,
        ["load: existing adapter name"] = Extended.Refuses,
        ["load: default is not trainable"] = Extended.OtherResult,
        ["modules_to_save absent"] = Extended.Refuses,
        ["convert_to_lora rank -1"] = Extended.Refuses,
        ["convert_to_lora with bias"] = Extended.Accepts,
        ["weighted adapters"] = Extended.Accepts,
        ["mixed adapter batch"] = Extended.OtherResult,
    };

    private static readonly JsonElement? s_file = GoldenFiles.Read(Category, FileName);

    public static TheoryData<int, string> Cases => GoldenFiles.Rows(Category, FileName, item => item.GetProperty("id").GetString()!);

    [Theory, MemberData(nameof(Cases))]
    public void TheStrictModeDoesWhatPeftDoes(int row, string id)
    {
        JsonElement item = s_file!.Value.GetProperty("cases")[row];
        Outcome outcome = Run(item, id, PeftCompatibility.Strict);
        outcome.AssertSame(item);
    }

    [Theory, MemberData(nameof(Cases))]
    public void TheExtendedModeDiffersWhereTheDocumentSaysSo(int row, string id)
    {
        JsonElement item = s_file!.Value.GetProperty("cases")[row];
        Outcome outcome = Run(item, id, PeftCompatibility.Extended);
        if (s_differences.TryGetValue(id, out Extended difference)) outcome.AssertDifference(item, difference);
        else outcome.AssertSame(item);
    }

    [Fact]
    public void EveryDifferenceIsARowOfTheDocument()
    {
        string text = CompatibilityDocument.ReadOrSkip();
        Assert.All(s_differences.Keys, id => Assert.Contains($"`{id}`", text, StringComparison.Ordinal));
    }

    [Fact]
    public void TheTableOfExceptionsIsThatOfTheDocument()
    {
        string text = CompatibilityDocument.ReadOrSkip();
        Assert.All(PeftErrors.Table, row =>
            Assert.Contains($"| `{row.Key}` | {string.Join(", ", row.Value.Select(type => $"`{type.Name}`"))} |", text, StringComparison.Ordinal));
    }

    private static Outcome Run(JsonElement item, string id, PeftCompatibility mode)
    {
        Func<Experiment, JsonNode?> handler = Experiments.Find(id)
            ?? throw new InvalidDataException($"No handler knows the experiment '{id}': {item.GetProperty("steps").GetString()}");
        using var experiment = new Experiment(s_file!.Value, item, mode);
        JsonNode? result = null;
        Exception? raised = null;
        try
        {
            result = handler(experiment);
        }
        // What the test framework throws to skip or to fail is no answer of the library.
        catch (Exception error) when (error is not (InvalidDataException or JsonException)
            && error.GetType().Namespace?.StartsWith("Xunit", StringComparison.Ordinal) != true)
        {
            raised = error;
        }
        return new Outcome(id, result, raised, experiment.Warnings, experiment.WithoutCounterpart);
    }

    /// <summary>What an experiment came to here.</summary>
    private sealed partial record Outcome(
        string Id, JsonNode? Result, Exception? Raised, IReadOnlyList<string> Warnings, IReadOnlyList<string> WithoutCounterpart)
    {
        internal void AssertSame(JsonElement item)
        {
            AssertRefusal(item);
            if (Raised is not null) return;
            Assert.True(HasResultOf(item), $"{Id}: got {Result?.ToJsonString()}, want {Wanted(item)?.ToJsonString()}");
            AssertWarnings(item);
        }

        private void AssertRefusal(JsonElement item)
        {
            JsonElement raises = item.GetProperty("raises");
            if (raises.ValueKind == JsonValueKind.Null)
            {
                Assert.True(Raised is null, $"{Id}: PEFT accepts; here: {Raised}");
                return;
            }
            string type = raises.GetProperty("type").GetString()!;
            Assert.True(Raised is not null, $"{Id}: PEFT raises {type}");
            if (Raised is RefusedByCompilerException)
            {
                Assert.Contains(type, (string[])["TypeError", "AttributeError"]);
                return;
            }
            string[] bases = [.. raises.GetProperty("bases").EnumerateArray().Select(name => name.GetString()!)];
            Assert.True(PeftErrors.Corresponds(type, bases, Raised), $"{Id}: {Raised.GetType()} does not stand for PEFT's {type}: {Raised}");
        }

        internal void AssertDifference(JsonElement item, Extended difference)
        {
            bool peftRaises = item.GetProperty("raises").ValueKind != JsonValueKind.Null;
            Assert.Equal(difference == Extended.Accepts, peftRaises);
            Assert.Equal(difference == Extended.Refuses, Raised is not null);
            if (difference == Extended.OtherResult) Assert.False(HasResultOf(item), $"{Id}: the result is PEFT's");
        }

        private bool HasResultOf(JsonElement item) => JsonNode.DeepEquals(Wanted(item), Result);

        /// <summary>Whatever PEFT warns of is warned of here: the names that its text quotes are in one of the warnings.</summary>
        private void AssertWarnings(JsonElement item)
        {
            if (!item.TryGetProperty("warnings", out JsonElement wanted)) return;
            Assert.True(Warnings.Count >= wanted.GetArrayLength(), $"{Id}: {wanted.GetArrayLength()} warnings, here: {string.Join("; ", Warnings)}");
            foreach (JsonElement warning in wanted.EnumerateArray())
            {
                string[] quoted = [.. Quoted().Matches(warning.GetProperty("message").GetString()!).Select(match => match.Groups[1].Value)];
                Assert.True(Warnings.Any(own => quoted.All(name => own.Contains(name, StringComparison.Ordinal))),
                    $"{Id}: no warning names {string.Join(", ", quoted)}: {string.Join("; ", Warnings)}");
            }
        }

        private JsonNode? Wanted(JsonElement item)
        {
            if (!item.TryGetProperty("result", out JsonElement result)) return null;
            JsonNode? wanted = JsonNode.Parse(result.GetRawText());
            foreach (string property in WithoutCounterpart) wanted!.AsObject().Remove(property);
            return wanted;
        }

        [GeneratedRegex(@"'([\w.\-]+)'")]
        private static partial Regex Quoted();
    }
}
