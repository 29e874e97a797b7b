using System.Text;
using System.Text.Json;
using Delora.Core;
using Delora.Nn;

namespace Delora.Tests.Golden;

/// <summary>Which modules a configuration adapts, by PEFT: modules of real architectures and of odd ones, and many configurations.</summary>
[Trait("Category", "Golden")]
public sealed class GoldenTargetsTests
{
    private const string Category = "targets", FileName = "target_resolution.json";

    private static readonly JsonElement? s_file = GoldenFiles.Read(Category, FileName);

    public static TheoryData<int, string> Cases => GoldenFiles.Rows(Category, FileName,
        item => $"{item.GetProperty("layout").GetString()} {item.GetProperty("config").GetRawText()}");

    [Theory, MemberData(nameof(Cases))]
    public void TheStrictModeAdaptsWhatPeftAdaptsAndStopsWherePeftStops(int row, string label)
    {
        var golden = new TargetCase(row);
        List<string> warnings = [];
        DeloraConfig? config = null;
        ResolvedTargets Resolve()
        {
            config = golden.Config(PeftCompatibility.Strict);
            return TargetResolver.ResolveAll(config, golden.Modules, golden.Options(PeftCompatibility.Strict) with { Warn = warnings.Add });
        }
        if (golden.Error is not { } error)
        {
            ResolvedTargets resolved = Resolve();
            golden.Compare(resolved);
            Assert.Equal(golden.Texts("modules_to_save_wrapped").Order(), resolved.ModulesToSave.Order());
            golden.CompareTargetModules(resolved.Config.TargetModules!);
            if (golden.Warnings.Any(warning => warning.Contains("no modules were excluded", StringComparison.Ordinal)))
                Assert.Contains(warnings, warning => warning.Contains("exclude_modules", StringComparison.Ordinal));
            return;
        }
        Exception? thrown = Record.Exception(Resolve);
        string type = error.GetProperty("type").GetString()!;
        Assert.True(thrown is not null, $"{label}: PEFT raises {type}");
        Assert.True(PeftErrors.Corresponds(type, TargetCase.TextsOf(error, "bases"), thrown), $"{label}: {thrown.GetType()} does not stand for {type}");
        // Not where the configuration is made, unless PEFT's constructor refuses it.
        Assert.Equal(golden.Stage == "config", config is null);
    }

    [Theory, MemberData(nameof(Cases))]
    public void TheExtendedModeAdaptsTheSameModules(int row, string label)
    {
        var golden = new TargetCase(row);
        Assert.SkipUnless(golden.Error is null, $"{label}: PEFT stops");
        golden.Compare(TargetResolver.ResolveAll(golden.Config(PeftCompatibility.Extended), golden.Modules, golden.Options(PeftCompatibility.Extended)));
    }

    [Fact]
    public void TheTableOfDefaultTargetsIsPefts()
    {
        const string Table = "default_target_modules.json";
        Assert.SkipUnless(File.Exists(Path.Combine(GoldenCases.Root, Category, Table)), $"the golden data in {GoldenCases.Root} have no {Category}/{Table}");
        JsonElement? file = GoldenFiles.Read(Category, Table);
        JsonProperty[] rows = [.. file!.Value.GetProperty("model_type_to_target_modules").EnumerateObject()];
        Assert.Equal(rows.Select(row => row.Name).Order(StringComparer.Ordinal), PeftDefaultTargets.ByModelType.Keys.Order(StringComparer.Ordinal));
        foreach (JsonProperty row in rows)
        {
            ModuleSelector wanted = row.Value.ValueKind == JsonValueKind.String
                ? row.Value.GetString()!
                : ModuleSelector.Of([.. row.Value.EnumerateArray().Select(item => item.GetString()!)]);
            Assert.Equal(wanted, PeftDefaultTargets.Of(row.Name));
            Assert.Equal(wanted, new TargetOptions { ModelType = row.Name }.DefaultTargets);
        }
        Assert.Null(PeftDefaultTargets.Of("foobar"));
    }

    /// <summary>One case, and the model that it is about.</summary>
    private sealed class TargetCase
    {
        private readonly JsonElement _case, _layout;

        internal TargetCase(int row)
        {
            _case = s_file!.Value.GetProperty("cases")[row];
            _layout = s_file.Value.GetProperty("layouts").GetProperty(_case.GetProperty("layout").GetString()!);
        }

        internal JsonElement? Error => _case.TryGetProperty("error", out JsonElement error) ? error : null;

        internal string Stage => _case.GetProperty("stage").GetString()!;

        internal IEnumerable<string> Warnings => _case.TryGetProperty("warnings", out JsonElement warnings)
            ? warnings.EnumerateArray().Select(warning => warning.GetProperty("message").GetString()!)
            : [];

        internal NamedModuleKind[] Modules =>
        [
            .. _layout.GetProperty("modules").EnumerateArray().Select(m => new NamedModuleKind(m[0].GetString()!, Kind(m[1].GetString()!))),
        ];

        internal DeloraConfig Config(PeftCompatibility compatibility) =>
            DeloraConfig.FromFields(Encoding.UTF8.GetBytes(_case.GetProperty("config").GetRawText()), compatibility);

        internal TargetOptions Options(PeftCompatibility compatibility)
        {
            var options = new TargetOptions
            {
                OutputModule = _layout.GetProperty("output_embeddings").GetString(),
                ModelType = _layout.GetProperty("model_type").GetString(),
                Compatibility = compatibility,
            };
            return _layout.GetProperty("is_transformers_model").GetBoolean() ? options : options with { ClassificationHeads = [] };
        }

        internal IEnumerable<string> Texts(string field) => TextsOf(_case, field);

        internal static IEnumerable<string> TextsOf(JsonElement item, string field) =>
            item.GetProperty(field).EnumerateArray().Select(text => text.GetString()!);

        /// <summary>Modules, ranks, strengths, the shapes of A and B that follow, and how much is trained where nothing else is.</summary>
        internal void Compare(ResolvedTargets resolved)
        {
            Dictionary<string, JsonElement> layers = _layout.GetProperty("modules").EnumerateArray().Where(m => m.GetArrayLength() > 3)
                .ToDictionary(m => m[0].GetString()!);
            string Describe(AdapterTarget target)
            {
                (int @in, int @out) = (layers[target.Name][2].GetInt32(), layers[target.Name][3].GetInt32());
                return $"{target.Name} {target.Rank} {target.Strength} [{target.Rank},{@in}] [{@out},{target.Rank}]";
            }
            Assert.Equal(string.Join('\n', _case.GetProperty("adapted").EnumerateArray().Select(Wanted)),
                string.Join('\n', resolved.Targets.Select(Describe)));
            if (_case.GetProperty("other_trainable_parameters").GetArrayLength() > 0) return;
            Assert.Equal(_case.GetProperty("trainable_count").GetInt64(),
                resolved.Targets.Sum(target => 1L + target.Rank * (layers[target.Name][2].GetInt64() + layers[target.Name][3].GetInt64())));
        }

        /// <summary>What PEFT's configuration says afterwards: a text, or a list without an order.</summary>
        internal void CompareTargetModules(ModuleSelector targets)
        {
            JsonElement after = _case.GetProperty("target_modules_after");
            if (after.ValueKind == JsonValueKind.String) Assert.Equal(after.GetString(), targets.Pattern);
            else Assert.Equal(Texts("target_modules_after").Order(StringComparer.Ordinal), targets.Names.Distinct().Order(StringComparer.Ordinal));
        }

        private static string Wanted(JsonElement adapted) =>
            $"{adapted.GetProperty("name")} {adapted.GetProperty("r")} {adapted.GetProperty("lambda").GetDouble()} " +
            $"{Compact(adapted.GetProperty("A"))} {Compact(adapted.GetProperty("B"))}";

        private static string Compact(JsonElement shape) => $"[{shape[0]},{shape[1]}]";

        private static ModuleKind Kind(string type) => type switch
        {
            "Linear" or "NonDynamicallyQuantizableLinear" => ModuleKind.Linear,
            "Conv1D" => ModuleKind.Conv1D,
            "Embedding" => ModuleKind.Embedding,
            _ => ModuleKind.Other,
        };
    }
}
