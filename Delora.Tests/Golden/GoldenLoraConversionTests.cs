using System.Text.Json;
using Delora.Autograd;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Golden;

/// <summary>DeLoRA adapters as LoRA, beside what PEFT's <c>save_as_lora</c> made of them at several ranks.</summary>
[Trait("Category", "Golden")]
public sealed class GoldenLoraConversionTests
{
    public static TheoryData<string> Cases => GoldenCases.Find(GoldenCases.Root, "lora_conversion");

    [Theory, MemberData(nameof(Cases))]
    public void TheFolderThatPeftWroteComputesItsLogits(string name)
    {
        using Case golden = new(name);
        golden.Peft.Load(Path.Combine(golden.Golden.Folder, "lora"), strict: true);
        golden.CompareDeltas("delta_lora");
        golden.CompareLogits("logits_lora");
        golden.Peft.Merge();
        golden.CompareLogits("logits_lora");
    }

    [Theory, MemberData(nameof(Cases))]
    public void TheSameRankGivesPeftsUpdatesLogitsAndRanks(string name)
    {
        using Case golden = new(name);
        using TemporaryFolder folder = new();
        golden.Peft.Load(golden.Adapter);
        golden.Peft.SaveAsLora(folder.Path, rank: golden.Rank);
        using (AdapterFolder stored = AdapterFolder.Open(golden.Adapter, Devices.Cpu)) stored.SaveAsLora(folder.File("stored"), golden.Rank);
        foreach (string file in (string[])[AdapterConfig.FileName, PeftModel.WeightsFileName])
            Assert.Equal(File.ReadAllBytes(folder.File(file)), File.ReadAllBytes(Path.Combine(folder.File("stored"), file)));
        AssertSameKeys(golden.Golden, folder.File(PeftModel.WeightsFileName));
        AssertSameConfig(golden, folder.Path);
        foreach (JsonProperty layer in golden.Golden.Json.GetProperty("per_layer").EnumerateObject())
        {
            using AdapterFolder cut = AdapterFolder.Open(folder.Path, Devices.Cpu);
            Assert.Equal(layer.Value.GetProperty("rank").GetInt32(), cut.Layers.Single(entry => entry.Key == layer.Name).Value.Rank);
        }
        golden.Peft.Delete("default");
        golden.Peft.Load(folder.Path, strict: true);
        golden.CompareDeltas("delta_lora");
        golden.CompareLogits("logits_lora");
    }

    [Theory, MemberData(nameof(Cases))]
    public void TheExactFormComputesTheSameBits(string name)
    {
        using Case golden = new(name);
        using TemporaryFolder folder = new();
        golden.Peft.Load(golden.Adapter);
        float[] delora = golden.Logits();
        golden.Peft.SaveAsLora(folder.Path);
        golden.Peft.Delete("default");
        golden.Peft.Load(folder.Path, strict: true);
        Assert.IsType<LoraConfig>(golden.Peft.Configs["default"]);
        Assert.Equal(delora, golden.Logits());
        golden.CompareDeltas("delta_delora", "delta_lora.*");
    }

    private static void AssertSameKeys(GoldenCase golden, string path)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        Assert.Equal(
            golden.Json.GetProperty("keys").EnumerateObject().OrderBy(key => key.Name, StringComparer.Ordinal)
                .Select(key => (key.Name, new Shape([.. key.Value.EnumerateArray().Select(dim => dim.GetInt32())]))),
            file.Entries.Select(entry => (entry.Name, entry.Shape)).OrderBy(key => key.Name, StringComparer.Ordinal));
    }

    /// <summary>
    /// All of PEFT's fields that differ from the method's defaults agree. Rank and α may be written as a pattern or not: what counts is what they
    /// come to in each layer; and the list of targets, in which PEFT repeats the layers' full names. The task, which PEFT drops, is the source's.
    /// </summary>
    private static void AssertSameConfig(Case golden, string folder)
    {
        var want = (LoraConfig)AdapterConfig.Load(Path.Combine(golden.Golden.Folder, "lora", AdapterConfig.FileName));
        var got = (LoraConfig)AdapterConfig.Load(Path.Combine(folder, AdapterConfig.FileName));
        NamedModuleKind[] modules = [.. golden.Peft.Base.NamedModules().Where(pair => pair.Module is Linear)
            .Select(pair => new NamedModuleKind(pair.Name, ModuleKind.Linear))];
        Assert.Equal(TargetResolver.Resolve(want, modules), TargetResolver.Resolve(got, modules));
        Assert.Equal(AdapterConfig.Load(Path.Combine(golden.Adapter, AdapterConfig.FileName)).TaskType, got.TaskType);
        Assert.Equal(
            (want.Bias, want.LoraDropout, want.UseRslora, want.BaseModelNameOrPath, want.ModulesToSave?.Length ?? 0),
            (got.Bias, got.LoraDropout, got.UseRslora, got.BaseModelNameOrPath, got.ModulesToSave?.Length ?? 0));
    }

    /// <summary>A case with its model and inputs, on the CPU.</summary>
    private sealed class Case : IDisposable
    {
        private readonly CausalLanguageModel _model;
        private readonly int[] _mask;
        private readonly Tensor _ids, _maskTensor;

        internal Case(string name)
        {
            Golden = new GoldenCase(Path.Combine(GoldenCases.Root, "lora_conversion", name));
            string[] source = [.. Golden.Json.GetProperty("source").GetString()!.Split(" and ").Select(part => Path.Combine(GoldenCases.Root, part))];
            foreach (string part in source) Assert.SkipUnless(Directory.Exists(part), $"{part}, which the case was made of, is not there");
            Adapter = source[1];
            JsonElement rank = Golden.Json.GetProperty("rank_argument");
            Rank = rank.TryGetInt32(out int fixedRank) ? RankChoice.Fixed(fixedRank) : RankChoice.EnergyShare(rank.GetDouble());
            _model = CausalLanguageModel.Load(source[0], Devices.Cpu, strict: true);
            Peft = new PeftModel(_model);
            _mask = Golden["attention_mask"].Integers;
            _ids = Tensor.From(Golden["input_ids"].Integers, Golden["input_ids"].Shape, Devices.Cpu, "ids");
            _maskTensor = Tensor.From(_mask, Golden["input_ids"].Shape, Devices.Cpu, "mask");
        }

        internal GoldenCase Golden { get; }

        internal string Adapter { get; }

        internal RankChoice Rank { get; }

        internal PeftModel Peft { get; }

        internal float[] Logits()
        {
            using IDisposable pause = Tape.Pause();
            return _model.Forward(_ids, _maskTensor).ToArray<float>();
        }

        internal void CompareLogits(string name)
        {
            using IDisposable pause = Tape.Pause();
            Golden.AssertRowsClose(name, _model.Forward(_ids, _maskTensor), _mask);
        }

        internal void CompareDeltas(string prefix, string? tolerance = null)
        {
            JsonElement allowed = Golden.Json.GetProperty("tolerances").GetProperty(tolerance ?? $"{prefix}.*");
            (string Name, IAdaptedLayer Layer)[] layers = [.. Peft.AdaptedLayers];
            Assert.Equal(Golden.Json.GetProperty("per_layer").EnumerateObject().Count(), layers.Length);
            foreach ((string layer, IAdaptedLayer linear) in layers)
            {
                using Tensor delta = linear.Adapters["default"].DeltaWeight();
                Assert.Null(GoldenCase.FirstDifference($"{prefix}.{layer}", delta.ToArray<double>(), Golden[$"{prefix}.{layer}"],
                    allowed.GetProperty("atol").GetDouble(), allowed.GetProperty("rtol").GetDouble()));
            }
        }

        public void Dispose()
        {
            Peft.Dispose();
            _model.Dispose();
            _ids.Dispose();
            _maskTensor.Dispose();
        }
    }
}
