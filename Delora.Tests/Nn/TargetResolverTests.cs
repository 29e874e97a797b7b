using System.Text;
using System.Text.Json;
using Delora.Core;
using Delora.Nn;

namespace Delora.Tests.Nn;

public sealed class TargetResolverTests
{
    private static readonly NamedModuleKind[] s_model =
    [
        new("", ModuleKind.Other), new("model", ModuleKind.Other), new("model.embed", ModuleKind.Embedding),
        new("model.layers.0.q_proj", ModuleKind.Linear),
        new("model.layers.0.v_proj", ModuleKind.Linear), new("model.layers.0.norm", ModuleKind.Other),
        new("model.layers.1.q_proj", ModuleKind.Linear),
        new("model.layers.1.v_proj", ModuleKind.Linear), new("lm_head", ModuleKind.Linear),
    ];

    private static string[] Names(DeloraConfig config, TargetOptions? options = null) =>
        [.. TargetResolver.Resolve(config, s_model, options).Select(target => target.Name)];

    [Fact]
    public void AllLinearLeavesTheOutputOut() =>
        Assert.Equal(4,
            Names(new DeloraConfig { TargetModules = ModuleSelector.AllLinear }, new TargetOptions { OutputModule = "lm_head" }).Length);

    [Fact]
    public void NothingThatMatchesSuggestsTheNearestNames()
    {
        var error = Assert.Throws<DeloraFormatException>(() => Names(new DeloraConfig { TargetModules = ["q_prj"] }));
        Assert.Equal(("DeloraConfig", "target_modules"), (error.File, error.Field));
        Assert.Contains("the nearest names are model.layers.0.q_proj", error.Message);
    }

    [Fact]
    public void NamesThatMatchNothingBesideOthersThatDoAreReported()
    {
        var warnings = new List<string>();
        Names(new DeloraConfig { TargetModules = ["q_proj", "absent"], ExcludeModules = ["gone"] },
            new TargetOptions { Warn = warnings.Add });
        Assert.Equal(["DeloraConfig: target_modules: 'absent' matches no module.",
            "DeloraConfig: exclude_modules: [gone] excludes nothing."], warnings);
    }

    [Fact]
    public void AModuleOfTheWrongKindIsRefusedUnlessTheAdapterTakesIt()
    {
        var config = new DeloraConfig { TargetModules = ["embed"] };
        Assert.Contains("'model.embed' is a module of the kind Embedding",
            Assert.Throws<DeloraFormatException>(() => Names(config)).Message);
        Assert.Equal(["model.embed"], Names(config, new TargetOptions { Adaptable = [ModuleKind.Linear, ModuleKind.Embedding] }));
    }

    [Fact]
    public void WithoutTargetsTheDefaultOfTheFamilyIsTaken()
    {
        Assert.Throws<DeloraFormatException>(() => Names(new DeloraConfig()));
        Assert.Equal(["model.layers.0.v_proj", "model.layers.1.v_proj"],
            Names(new DeloraConfig(), new TargetOptions { DefaultTargets = ["v_proj"] }));
    }

    [Fact]
    public void ModulesToSaveAreFoundByWholeParts()
    {
        NamedModuleKind[] modules =
            [new("pre_classifier", ModuleKind.Linear), new("classifier", ModuleKind.Linear), new("a.classifier", ModuleKind.Linear)];
        Assert.Equal(["classifier", "a.classifier"],
            TargetResolver.ResolveModulesToSave(new DeloraConfig { ModulesToSave = ["classifier"] }, modules));
    }

    [Fact]
    public void RanksAndStrengthsFollowTheFirstPattern()
    {
        var config = new LoraConfig
        {
            TargetModules = ["q_proj", "v_proj"],
            RankPattern = [new("layers.1.*", 2), new("q_proj", 3)],
            AlphaPattern = [new("v_proj", 1)],
        };
        Assert.Equal([(3, 8), (8, 1), (2, 8), (2, 1)],
            TargetResolver.Resolve(config, s_model).Select(target => (target.Rank, (int)target.Strength)));
    }

    /// <summary>One row of PEFT's own results: a module list and a configuration.</summary>
    public static TheoryData<int, string> GoldenCases()
    {
        var rows = new TheoryData<int, string>();
        int row = 0;
        foreach (JsonElement test in s_golden.GetProperty("cases").EnumerateArray())
            rows.Add(row++, $"{test.GetProperty("layout").GetString()} {test.GetProperty("config").GetRawText()}");
        return rows;
    }

    [Theory]
    [MemberData(nameof(GoldenCases))]
    public void AdaptsWhatPeftAdapts(int row, string label)
    {
        JsonElement test = s_golden.GetProperty("cases")[row];
        JsonElement layout = s_golden.GetProperty("layouts").GetProperty(test.GetProperty("layout").GetString()!);
        NamedModuleKind[] modules =
        [
            .. layout.GetProperty("modules").EnumerateArray().Select(m => new NamedModuleKind(m[0].GetString()!, Kind(m[1].GetString()!))),
        ];
        var options = new TargetOptions
        {
            OutputModule = layout.GetProperty("output_embeddings").GetString(),
            DefaultTargets = Default(layout.GetProperty("model_type").GetString()),
        };
        string json =
            "{\"peft_type\": \"DELORA\"" + (test.GetProperty("config").GetRawText() is { Length: > 2 } fields ? "," + fields[1..] : "}");
        AdapterConfig Parse() => AdapterConfig.Parse(Encoding.UTF8.GetBytes(json), label).WithTaskHeads();
        string Resolve() => string.Join('\n', TargetResolver.Resolve(Parse(), modules, options)
            .Select(target => $"{target.Name} {target.Rank} {target.Strength}"));

        if (test.TryGetProperty("adapted", out JsonElement adapted))
            Assert.Equal(string.Join('\n', adapted.EnumerateArray().Select(Expected)), Resolve());
        else
            Assert.Throws<DeloraFormatException>(Resolve);
    }

    private static string Expected(JsonElement adapted) =>
        $"{adapted.GetProperty("name")} {adapted.GetProperty("r")} {adapted.GetProperty("lambda").GetDouble()}";

    private static readonly JsonElement s_golden = Read("target_resolution.json"), s_defaults = Read("default_target_modules.json");

    private static JsonElement Read(string file) =>
        JsonDocument.Parse(File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "Golden", "targets", file))).RootElement;

    private static ModuleKind Kind(string type) => type switch
    {
        "Linear" or "NonDynamicallyQuantizableLinear" => ModuleKind.Linear,
        "Conv1D" => ModuleKind.Conv1D,
        "Embedding" => ModuleKind.Embedding,
        _ => ModuleKind.Other,
    };

    private static ModuleSelector? Default(string? family)
    {
        if (family is null || !s_defaults.GetProperty("model_type_to_target_modules").TryGetProperty(family, out JsonElement targets))
            return null;
        return targets.ValueKind == JsonValueKind.String ? targets.GetString()!
            : ModuleSelector.Of([.. targets.EnumerateArray().Select(t => t.GetString()!)]);
    }
}
