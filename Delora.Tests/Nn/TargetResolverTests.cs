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

    /// <summary>Lists of 20 names and more are shortened before they are matched.</summary>
    [Fact]
    public void NamesOfALongListThatMatchNothingAreReported()
    {
        NamedModuleKind[] modules = [.. Enumerable.Range(0, 24).Select(i => new NamedModuleKind($"layers.{i}.q_proj", ModuleKind.Linear))];
        string[] names = [.. modules.Select(module => module.Name), "layers.7.q_prj"];
        var warnings = new List<string>();
        Assert.Equal(24, TargetResolver.Resolve(new DeloraConfig { TargetModules = names }, modules, new TargetOptions { Warn = warnings.Add }).Count);
        Assert.Equal(["DeloraConfig: target_modules: 'layers.7.q_prj' matches no module."], warnings);
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
}
