using System.Text;
using System.Text.Json.Nodes;
using Delora.Core;
using Delora.Nn;
using static Delora.Tests.Golden.Experiment;

namespace Delora.Tests.Golden;

/// <summary>One handler for each kind of experiment: it does here what the steps say PEFT was made to do, and gives PEFT's result.</summary>
internal static partial class Experiments
{
    private const string ConfigPrefix = "config ";

    private const string Default = PeftModel.DefaultAdapter;

    private static readonly Dictionary<string, Func<Experiment, JsonNode?>> s_handlers =
        new([.. Configurations(), .. Adapters(), .. States(), .. Merging(), .. Loading(), .. Saving(), .. Conversion()]);

    /// <summary>The handler of an experiment; null where its kind is not known.</summary>
    internal static Func<Experiment, JsonNode?>? Find(string id) =>
        id.StartsWith(ConfigPrefix, StringComparison.Ordinal) ? MakeConfig
        : id.StartsWith(RankPrefix, StringComparison.Ordinal) ? ConvertedToRank
        : s_handlers.GetValueOrDefault(id);

    private static JsonNode? MakeConfig(Experiment x)
    {
        DeloraConfig.FromFields(Encoding.UTF8.GetBytes(x.Id[ConfigPrefix.Length..]), x.Mode, x.Warnings.Add);
        return null;
    }

    private static IEnumerable<KeyValuePair<string, Func<Experiment, JsonNode?>>> Configurations() =>
    [
        new("module_dropout above 1 when wrapping", WithDropout),
        new("module_dropout negative when wrapping", WithDropout),
        new("rank_pattern None when wrapping", x => Wrapped(x, "{\"rank_pattern\": null}")),
        new("lambda text when wrapping", x => Wrapped(x, $"{{\"delora_lambda\": \"{x.Spelt("delora_lambda=")}\"}}")),
        new("lambda numeric text when wrapping", x =>
            AdapterOf(x.Wrap($"{{\"delora_lambda\": \"{x.Spelt("delora_lambda=")}\"}}"), x.First).Lambda.Value.ToScalar()),
        new("bias wrong value", x => Wrapped(x, $"{{\"bias\": \"{x.Spelt("bias=")}\"}}")),
        new("bias ending in _only", x => Trainable(x.Wrap($"{{\"bias\": \"{x.Spelt("bias=")}\"}}"))),
        new("bias delora_only trainable", WithBiasOfFirst),
        new("bias all trainable", WithBiasOfFirst),
        new("no target_modules, plain model", x => Wrapped(x, "{\"target_modules\": null}")),
        new("no target_modules, unknown architecture", x =>
        {
            x.Wrap(x.NewNetwork(modelType: x.Spelt("model_type is "))).AddAdapter(x.Config("{\"target_modules\": null}"), new Generator(1));
            return null;
        }),
        new("inference_mode", x => Trainable(x.Wrap("{\"inference_mode\": true}"))),
        new("modules_to_save absent", x => Saved(x, $"{{\"modules_to_save\": [\"{"absent"}\"]}}")),
        new("modules_to_save text", x => Saved(x, $"{{\"target_modules\": [\"{x.First}\"], \"modules_to_save\": \"{x.Second}\"}}")),
        new("modules_to_save is a target", x => new JsonObject
        {
            ["adapted"] = Names(x.Wrap($"{{\"modules_to_save\": [\"{x.Second}\"]}}").AdaptedLayers.Select(layer => $"base_model.model.{layer.Name}")),
        }),
    ];

    private static JsonNode? Wrapped(Experiment x, string fields)
    {
        x.Wrap(fields);
        return null;
    }

    private static JsonNode? WithDropout(Experiment x)
    {
        PeftModel model = x.Wrap($"{{\"module_dropout\": {x.Spelt("module_dropout=")}}}");
        return Names(model.AdaptedLayers.Select(layer => layer.Layer.Adapters[Default].Dropout > 0 ? "Dropout" : "Identity").Distinct());
    }

    private static JsonNode? WithBiasOfFirst(Experiment x) =>
        Trainable(x.Wrap($"{{\"target_modules\": [\"{x.First}\"], \"bias\": \"{x.Spelt("bias=")}\"}}"));

    private static JsonNode? Saved(Experiment x, string fields) => new JsonObject
    {
        ["wrapped"] = Names(x.Wrap(fields).GetLayerStatus().Where(layer => layer.ModuleType == "ModulesToSaveWrapper")
            .Select(layer => $"base_model.{layer.Name}")),
    };

    private static IEnumerable<KeyValuePair<string, Func<Experiment, JsonNode?>>> Adapters() =>
    [
        new("duplicate adapter name", x => Added(x, x.Wrap("{}"), "{}", x.Spelt("add_adapter("))),
        new("two adapters with bias", x => Added(x, x.Wrap("{\"bias\": \"all\"}"), "{\"bias\": \"all\"}", "b")),
        new("second adapter without bias", x => Added(x, x.Wrap("{\"bias\": \"all\"}"), "{}", "b")),
        new("failed add is rolled back", x =>
        {
            PeftModel model = x.Wrap("{}");
            float[] before = x.Forward(model);
            Assert.ThrowsAny<Exception>(() => Added(x, model, "{\"target_modules\": [\"absent\"]}", "b"));
            Assert.Equal(before, x.Forward(model));
            return Names(model.Configs.Keys);
        }),
        new("other method on top", x =>
        {
            x.Wrap("{}").AddAdapter(new LoraConfig { TargetModules = ModuleSelector.Of(x.First) }, new Generator(1), "b");
            return null;
        }),
        new("adapter name 'lora'", x =>
        {
            PeftModel model = x.Wrap("{}");
            string name = x.Spelt("add_adapter(");
            Added(x, model, "{}", name);
            return Names(Keys(model, name).Select(key => $"{key}.{name}"));
        }),
        new("adapter name with a dot", x => Added(x, x.Wrap("{}"), "{}", x.Spelt("add_adapter("))),
        new("adapter name empty", x => Added(x, x.Wrap("{}"), "{}", x.Spelt("add_adapter("))),
        new("get_peft_model on a PeftModel", x =>
        {
            PeftModel again = x.Wrap((Experiment.Network)x.Wrap("{}").Base);
            return Added(x, again, "{}", "again");
        }),
        new("get_peft_model twice on the same base", x =>
        {
            PeftModel again = x.Wrap((Experiment.Network)x.Wrap("{}").Base);
            Added(x, again, "{}", Default);
            return Names(again.AdaptedLayers.Select(layer => $"base_model.model.{layer.Name}"));
        }),
        new("inject_adapter_in_model", x => Names(Keys(x.Wrap("{}"), Default, withPrefix: false))),
    ];

    private static JsonNode? Added(Experiment x, PeftModel model, string fields, string name)
    {
        model.AddAdapter(x.Config(fields), new Generator(3), name);
        return Names(model.Configs.Keys);
    }

    private static string[] Keys(PeftModel model, string name, bool withPrefix = true)
    {
        IReadOnlyDictionary<string, Tensor> state = model.CopyState(name, withPrefix);
        foreach (Tensor tensor in state.Values) tensor.Dispose();
        return [.. state.Keys.Order(StringComparer.Ordinal)];
    }
}
