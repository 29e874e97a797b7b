using System.Text;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn;

public sealed class AdapterConfigTests
{
    /// <summary>A file as PEFT 0.20 writes it.</summary>
    private const string PeftFile = """
        {
          "auto_mapping": {
            "base_model_class": "Qwen2ForCausalLM",
            "parent_library": "transformers.models.qwen2.modeling_qwen2"
          },
          "base_model_name_or_path": "tiny-random/qwen2",
          "bias": "none",
          "delora_lambda": 2,
          "exclude_modules": [
            "o_proj"
          ],
          "inference_mode": true,
          "init_weights": true,
          "lambda_pattern": {
            "v_proj": 1.5,
            "layers.1.mlp.up_proj": 4
          },
          "layers_pattern": null,
          "layers_to_transform": null,
          "module_dropout": 0.0,
          "modules_to_save": null,
          "peft_type": "DELORA",
          "peft_version": "0.20.1.dev0@UNKNOWN",
          "r": 4,
          "rank_pattern": {
            ".*\\.1\\.mlp\\.down_proj": 5
          },
          "revision": null,
          "target_modules": [
            "v_proj",
            "q_proj"
          ],
          "task_type": "CAUSAL_LM"
        }
        """;

    private static AdapterConfig Parse(string json, Action<string>? warn = null) =>
        AdapterConfig.Parse(Encoding.UTF8.GetBytes(json), "f.json", warn);

    private static DeloraConfig Delora(string field) => (DeloraConfig)Parse($$"""{"peft_type": "DELORA", {{field}}}""");

    [Fact]
    public void AFileOfPeftIsReadAndWrittenToTheByte()
    {
        var config = Assert.IsType<DeloraConfig>(Parse(PeftFile));
        Assert.Equal(4, config.R);
        Assert.Equal(2, config.DeloraLambda);
        Assert.Equal(["v_proj", "q_proj"], config.TargetModules!.Names);
        Assert.Equal(["o_proj"], config.ExcludeModules!.Names);
        Assert.Equal([new("v_proj", 1.5), new("layers.1.mlp.up_proj", 4)], config.LambdaPattern);
        Assert.Equal(5, Assert.Single(config.RankPattern).Value);
        Assert.Equal("CAUSAL_LM", config.TaskType);
        Assert.True(config.InferenceMode);
        Assert.Equal(PeftFile.ReplaceLineEndings("\n"), config.ToJson());
    }

    [Fact]
    public void AbsentFieldsHavePeftsDefaults()
    {
        var delora = (DeloraConfig)Parse("""{"peft_type": "DELORA"}""");
        Assert.Equal((8, 15.0, 0.0, true, false),
            (delora.R, delora.DeloraLambda, delora.ModuleDropout, delora.InitWeights, delora.InferenceMode));
        Assert.Null(delora.TargetModules);
        Assert.Equal(AdapterBias.None, delora.Bias);
        Assert.Equal(new DeloraConfig().ToJson(), delora.ToJson());
        var lora = (LoraConfig)Parse("""{"peft_type": "LORA"}""");
        Assert.Equal((8, 8.0, 0.0, false), (lora.R, lora.LoraAlpha, lora.LoraDropout, lora.UseRslora));
        Assert.Contains("\"init_lora_weights\": true", lora.ToJson());
    }

    [Theory]
    [InlineData("\"r\": 0", "r")]
    [InlineData("\"r\": -1", "r")]
    [InlineData("\"r\": 65537", "r")]
    [InlineData("\"rank_pattern\": {\"q\": 20000000}", "rank_pattern[\"q\"]")]
    [InlineData("\"r\": 2147483648", "r")]
    [InlineData("\"r\": \"8\"", "r")]
    [InlineData("\"r\": 2.5", "r")]
    [InlineData("\"r\": true", "r")]
    [InlineData("\"r\": null", "r")]
    [InlineData("\"delora_lambda\": 1e999", "delora_lambda")]
    [InlineData("\"delora_lambda\": 1e39", "delora_lambda")]
    [InlineData("\"delora_lambda\": \"2.5\"", "delora_lambda")]
    [InlineData("\"module_dropout\": 1", "module_dropout")]
    [InlineData("\"module_dropout\": -0.1", "module_dropout")]
    [InlineData("\"target_modules\": 3", "target_modules")]
    [InlineData("\"target_modules\": [\"q\", 3]", "target_modules")]
    [InlineData("\"exclude_modules\": {}", "exclude_modules")]
    [InlineData("\"bias\": \"some\"", "bias")]
    [InlineData("\"task_type\": \"NOPE\"", "task_type")]
    [InlineData("\"inference_mode\": 1", "inference_mode")]
    [InlineData("\"rank_pattern\": {\"q\": 0}", "rank_pattern[\"q\"]")]
    [InlineData("\"rank_pattern\": [1]", "rank_pattern")]
    [InlineData("\"lambda_pattern\": {\"q\": \"x\"}", "lambda_pattern[\"q\"]")]
    [InlineData("\"layers_to_transform\": [\"1\"]", "layers_to_transform")]
    [InlineData("\"layers_to_transform\": 1, \"target_modules\": \"q\"", "layers_to_transform")]
    [InlineData("\"layers_pattern\": \"layers\"", "layers_pattern")]
    [InlineData("\"base_model_name_or_path\": \"\\ud800\"", "base_model_name_or_path")]
    public void AWrongFieldIsNamedWithItsFile(string field, string named)
    {
        var error = Assert.Throws<DeloraFormatException>(() => Delora(field));
        Assert.Equal(("f.json", named), (error.File, error.Field));
    }

    [Fact]
    public void RanksHaveALimitInBothMethodsAndModes()
    {
        foreach (PeftCompatibility mode in Enum.GetValues<PeftCompatibility>())
            foreach (AdapterConfig config in (AdapterConfig[])[new DeloraConfig(), new LoraConfig()])
            {
                AdapterConfig most = config with { R = AdapterConfig.MaxRank, RankPattern = [new("q", AdapterConfig.MaxRank)] };
                most.Validate(mode);
                Assert.Equal("r", Assert.Throws<DeloraFormatException>(() => (most with { R = AdapterConfig.MaxRank + 1 }).Validate(mode)).Field);
                Assert.Equal("rank_pattern[\"q\"]", Assert.Throws<DeloraFormatException>(
                    () => (most with { RankPattern = [new("q", AdapterConfig.MaxRank + 1)] }).Validate(mode)).Field);
            }
    }

    /// <summary>Below the limit, too, the factors of a large layer can be more than an array holds.</summary>
    [Fact]
    public void ARankWhoseFactorsNoArrayHoldsIsRefused()
    {
        using Linear layer = new(40_000, 1, Devices.Cpu, new Generator(1));
        DeloraConfig config = new() { R = AdapterConfig.MaxRank };
        var error = Assert.Throws<DeloraFormatException>(
            () => layer.Adapters.RequireSize(config, new AdapterTarget("large", ModuleKind.Linear, config.R, 1)));
        Assert.Equal("r", error.Field);
        Assert.Contains("65536 is too large for 'large'", error.Message);
    }

    [Fact]
    public void ConfigurationsAreEqualThatHoldTheSame()
    {
        const string Fields = "\"r\": 3, \"layers_to_transform\": [1], \"target_modules\": [\"q\"], \"rank_pattern\": {\"a\": 2}, \"later\": {\"x\": [1]}";
        DeloraConfig one = Delora(Fields), same = Delora(Fields) with { Source = "elsewhere.json" };
        Assert.Equal(one, same);
        Assert.Equal(one.GetHashCode(), same.GetHashCode());
        Assert.True(one == same);
        Assert.NotEqual(one, Delora(Fields.Replace("[1]}", "[2]}", StringComparison.Ordinal)));
        Assert.NotEqual(one, one with { RankPattern = [new("a", 3)] });
        Assert.NotEqual(one, one with { LambdaPattern = [new("a", 3)] });
        Assert.NotEqual(one, one with { ResidualInitialization = true });
        Assert.NotEqual<AdapterConfig>(new DeloraConfig(), new LoraConfig());
        Assert.Equal(new LoraConfig { AlphaPattern = [new("a", 2)] }, new LoraConfig { AlphaPattern = [new("a", 2)] });
        Assert.NotEqual(new LoraConfig { AlphaPattern = [new("a", 2)] }, new LoraConfig());
        // Wrong ones can be compared as well.
        Assert.NotEqual(new DeloraConfig { R = 0 }, new DeloraConfig { R = -1 });
        Assert.Equal(new DeloraConfig(), new DeloraConfig { RankPattern = default, LambdaPattern = default });
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{\"peft_type\": \"DELORA\"")]
    [InlineData("{\"peft_type\": \"DELORA\", \"r\": 8, \"r\": 9}")]
    [InlineData("{\"peft_type\": \"DELORA\", \"r\": 8, \"\\u0072\": 9}")]
    [InlineData("{\"peft_type\": \"DELORA\", \"r\": NaN}")]
    public void WhatIsNotOneObjectIsRefused(string json) =>
        Assert.Equal("f.json", Assert.Throws<DeloraFormatException>(() => Parse(json)).File);

    [Fact]
    public void DepthAndBytesThatAreNotUtf8AreRefused()
    {
        string deep = $$"""{"peft_type": "DELORA", "x": {{new string('[', 10_000)}}{{new string(']', 10_000)}}}""";
        Assert.Throws<DeloraFormatException>(() => Parse(deep));
        Assert.Throws<DeloraFormatException>(() => AdapterConfig.Parse(new byte[] { 0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D }, "f.json"));
    }

    [Fact]
    public void OtherMethodsAreRefusedByName()
    {
        Assert.Contains("'IA3' is not supported", Assert.Throws<DeloraFormatException>(() => Parse("""{"peft_type": "IA3"}""")).Message);
        Assert.Equal("peft_type", Assert.Throws<DeloraFormatException>(() => Parse("{}")).Field);
        Assert.Contains("use_dora",
            Assert.Throws<DeloraFormatException>(() => Parse("""{"peft_type": "LORA", "use_dora": true}""")).Message);
        Assert.Contains("pissa",
            Assert.Throws<DeloraFormatException>(() => Parse("""{"peft_type": "LORA", "init_lora_weights": "pissa"}""")).Message);
    }

    [Fact]
    public void UnknownFieldsAreKeptWithAWarningAndWrittenBack()
    {
        var warnings = new List<string>();
        AdapterConfig config =
            Parse("""{"peft_type": "DELORA", "new_option": {"b": [1, 2.50], "a": "é"}, "auto_mapping": {"x": 1}}""", warnings.Add);
        Assert.Collection(warnings,
            mapping => Assert.Equal("f.json: auto_mapping is ignored: it names Python classes.", mapping),
            unknown => Assert.Equal("f.json: unknown fields are kept and have no effect: new_option.", unknown));
        Assert.Contains("\"new_option\": {\n    \"b\": [\n      1,\n      2.50\n    ],\n    \"a\": \"\\u00e9\"\n  }", config.ToJson());
    }

    [Fact]
    public void AByteOrderMarkIsAccepted() =>
        Assert.Equal(8, Parse("\uFEFF{\"peft_type\": \"DELORA\"}").R);

    [Fact]
    public void NumbersAreWrittenAsPythonWritesThem()
    {
        string json =
            new DeloraConfig { DeloraLambda = 2.5, ModuleDropout = 1e-5, LambdaPattern = [new("a", 3), new("b", 1e30)] }.ToJson();
        Assert.Contains("\"delora_lambda\": 2.5", json);
        Assert.Contains("\"module_dropout\": 1e-05", json);
        Assert.Contains("\"a\": 3,", json);
        Assert.Contains("\"b\": 1e+30", json);
        Assert.DoesNotContain("esidual", new DeloraConfig { ResidualInitialization = true }.ToJson());
    }

    [Fact]
    public void AConfigurationMadeInCodeIsCheckedTooAndNamesItsType()
    {
        var error = Assert.Throws<DeloraFormatException>(() => new DeloraConfig { R = -1 }.ToJson());
        Assert.Equal("DeloraConfig: r: must be at least 1, not -1.", error.Message);
        Assert.Throws<DeloraFormatException>(() => new DeloraConfig { DeloraLambda = double.NaN }.Validate());
        Assert.Throws<DeloraFormatException>(() => new DeloraConfig { ResidualInitialization = true, InitWeights = false }.Validate());
    }

    [Fact]
    public void BiasHasTheWordOfItsMethod()
    {
        Assert.Contains("\"bias\": \"delora_only\"", new DeloraConfig { Bias = AdapterBias.AdapterOnly }.ToJson());
        Assert.Contains("\"bias\": \"lora_only\"", new LoraConfig { Bias = AdapterBias.AdapterOnly }.ToJson());
        Assert.Equal(AdapterBias.AdapterOnly, Delora("\"bias\": \"lora_only\"").Bias);
    }

    [Fact]
    public void FilesThatAreNotThereOrNotFilesAreRefused()
    {
        Assert.Throws<DeloraFormatException>(() => AdapterConfig.Load("no such file.json"));
        Assert.Throws<DeloraFormatException>(() => AdapterConfig.Load(Path.GetTempPath()));
        if (File.Exists("/dev/zero")) Assert.Throws<DeloraFormatException>(() => AdapterConfig.Load("/dev/zero"));
    }

    [Fact]
    public void TaskHeadsAreAddedOnce()
    {
        AdapterConfig config = new DeloraConfig { TaskType = "SEQ_CLS", ModulesToSave = ["classifier"] }.WithTaskHeads();
        Assert.Equal(["classifier", "score"], config.ModulesToSave!.Value);
        Assert.Null(new DeloraConfig { TaskType = "CAUSAL_LM" }.WithTaskHeads().ModulesToSave);
    }

    [Fact]
    public void ALinkToADeviceIsRefusedBeforeItIsRead()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() || OperatingSystem.IsMacOS(), "Windows has no devices in folders");
        using var folder = new TemporaryFolder();
        string link = Path.Combine(folder.Path, AdapterConfig.FileName);
        File.CreateSymbolicLink(link, "/dev/zero");
        Assert.Contains("not a regular file", Assert.Throws<DeloraFormatException>(() => AdapterConfig.Load(link)).Message);
        File.Delete(link);
        File.CreateSymbolicLink(link, "gone");
        Assert.Contains("gone", Assert.Throws<DeloraFormatException>(() => AdapterConfig.Load(link)).Message);
    }
}
