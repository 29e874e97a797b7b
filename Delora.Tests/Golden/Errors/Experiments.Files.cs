using System.Text.Json.Nodes;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;
using static Delora.Tests.Golden.Experiment;

namespace Delora.Tests.Golden;

/// <summary>Saving and loading.</summary>
internal static partial class Experiments
{
    private static IEnumerable<KeyValuePair<string, Func<Experiment, JsonNode?>>> Loading() =>
    [
        new("load: A of the wrong rank", x => Loaded(x, x.First + ".delora_A", shape => [shape[0] - 1, shape[1]])),
        new("load: B of the wrong output size", x => Loaded(x, x.First + ".delora_B", shape => [shape[0] - 1, shape[1]])),
        new("load: lambda of shape []", x => Loaded(x, x.First + ".delora_lambda", _ => [])),
        new("load: lambda of shape [2]", x => Loaded(x, x.First + ".delora_lambda", _ => [2])),
        new("load: w_norm of the wrong size", x => Loaded(x, x.First + ".delora_w_norm", shape => [shape[0] - 1])),
        new("load: mismatch with ignore_mismatched_sizes", x =>
            Loaded(x, x.First + ".delora_A", shape => [shape[0] - 1, shape[1]], ignoreMismatchedSizes: true)),
        new("load: A missing", x => Loaded(x, key => key.EndsWith($"{x.First}.delora_A", StringComparison.Ordinal))),
        new("load: w_norm missing", x => Loaded(x, key => key.EndsWith($"{x.First}.delora_w_norm", StringComparison.Ordinal))),
        new("load: all of one layer missing", x => Loaded(x, key => key.Contains($".{x.First}.", StringComparison.Ordinal))),
        new("load: empty checkpoint", x => Loaded(x, _ => true)),
        new("load: unexpected key", x => Loaded(x, _ => false, extra: "base_model.model.zzz.delora_A")),
        new("load: float16 tensors", x =>
        {
            x.Wrap("{}").Save(x.Folder.Path, DType.Float16);
            PeftModel model = x.Wrap();
            model.Load(x.Folder.Path);
            return $"torch.{AdapterOf(model, x.First).A.Value.DType.Name}";
        }),
        new("load_adapter: A missing", x => LoadedBeside(x, key => key.EndsWith($"{x.First}.delora_A", StringComparison.Ordinal), null)),
        new("load_adapter: unexpected key", x => LoadedBeside(x, _ => false, "base_model.model.zzz.delora_A")),
        new("load: other rank in the config", x => LoadedWith(x, config => config["r"] = config["r"]!.GetValue<int>() + 1)),
        new("load: unknown config key", x => LoadedWith(x, config => config["new_fancy_option"] = 1)),
        new("load: peft_type LORA in the config", x => LoadedWith(x, config => config["peft_type"] = "LORA")),
        new("load: unknown peft_type", x => LoadedWith(x, config => config["peft_type"] = "NEWTYPE")),
        new("load: no peft_type", x => LoadedWith(x, config => config.Remove("peft_type"))),
        new("load: config with only peft_type and target_modules", x => LoadedWith(x, config =>
        {
            foreach (string field in config.Select(field => field.Key).Except(["peft_type", "target_modules"]).ToArray()) config.Remove(field);
        })),
        new("load: target module absent in the model", x => LoadedWith(x, config => config["target_modules"] = new JsonArray("absent"))),
        new("load: broken JSON", x => LoadedAfter(x, folder =>
        {
            string path = Path.Combine(folder, AdapterConfig.FileName);
            File.WriteAllText(path, File.ReadAllText(path)[..24]);
        })),
        new("load: folder missing", x => LoadedAfter(x, folder => Directory.Delete(folder, recursive: true))),
        new("load: no config file", x => LoadedAfter(x, folder => File.Delete(Path.Combine(folder, AdapterConfig.FileName)))),
        new("load: no tensor file", x => LoadedAfter(x, folder => File.Delete(Path.Combine(folder, PeftModel.WeightsFileName)))),
        new("load: existing adapter name", x =>
        {
            x.Wrap("{}").Save(x.Folder.Path);
            PeftModel model = x.Wrap();
            model.AddAdapter(x.Config(), new Generator(99));
            model.Load(x.Folder.Path);
            using SafetensorsFile file = PeftModel.OpenWeights(x.Folder.Path);
            using Tensor saved = file.Read($"base_model.model.{x.First}.delora_A", Devices.Cpu);
            return AdapterOf(model, x.First).A.Value.ToArray<float>().SequenceEqual(saved.ToArray<float>());
        }),
        new("load: default is not trainable", x => LoadedFor(x, trainable: false)),
        new("load: is_trainable", x => LoadedFor(x, trainable: true)),
        new("load onto a different base", x =>
        {
            PeftModel saved = x.Wrap("{}");
            saved.Save(x.Folder.Path);
            Experiment.Network other = x.NewNetwork();
            var layer = (Linear)other.GetModule(x.First);
            layer.Weight!.Value.CopyFrom<float>([.. layer.Weight.Value.ToArray<float>().Select(value => 3 * value)]);
            PeftModel model = x.Wrap(other);
            model.Load(x.Folder.Path);
            float[] norms = AdapterOf(model, x.First).ColumnNorms.ToArray<float>();
            using Tensor own = layer.Adapters.BaseColumnNorms();
            return new JsonObject
            {
                ["w_norm_is_the_saved_one"] = norms.SequenceEqual(AdapterOf(saved, x.First).ColumnNorms.ToArray<float>()),
                ["w_norm_is_that_of_the_new_base"] = norms.SequenceEqual(own.ToArray<float>()),
            };
        }),
    ];

    private static IEnumerable<KeyValuePair<string, Func<Experiment, JsonNode?>>> Saving() =>
    [
        new("save with a single adapter not called default", x =>
        {
            x.Wrap("{}", x.Spelt("adapter_name=")).Save(x.Folder.Path);
            return Names(Directory.GetFiles(x.Folder.Path, "*", SearchOption.AllDirectories)
                .Select(path => Path.GetRelativePath(x.Folder.Path, path).Replace('\\', '/')).Order(StringComparer.Ordinal));
        }),
        new("keys of an adapter named like a module", x =>
        {
            x.Wrap("{}", x.First).Save(x.Folder.Path);
            return SavedKeys(x.Folder.File(x.First));
        }),
        new("save to a path that is a file", x =>
        {
            x.Wrap("{}").Save(x.Folder.Write("afile", ""));
            return null;
        }),
        new("save an unknown adapter", x =>
        {
            x.Wrap("{}").Save(x.Folder.Path, "ghost");
            return null;
        }),
    ];

    /// <summary>Saves an adapter, changes its folder, and loads it into a new model.</summary>
    private static JsonNode? LoadedAfter(Experiment x, Action<string> change, bool ignoreMismatchedSizes = false)
    {
        string folder = x.Folder.File("adapter");
        x.Wrap("{}").Save(folder);
        change(folder);
        PeftModel model = x.Wrap();
        model.Load(folder, ignoreMismatchedSizes: ignoreMismatchedSizes);
        Assert.All(x.Forward(model), value => Assert.True(float.IsFinite(value)));
        return null;
    }

    private static JsonNode? Loaded(Experiment x, string key, Func<Shape, Shape> reshape, bool ignoreMismatchedSizes = false) =>
        LoadedAfter(x, folder => Rewrite(folder, name => !name.EndsWith(key, StringComparison.Ordinal), key, reshape, null), ignoreMismatchedSizes);

    private static JsonNode? Loaded(Experiment x, Func<string, bool> missing, string? extra = null) =>
        LoadedAfter(x, folder => Rewrite(folder, name => !missing(name), null, null, extra));

    private static JsonNode? LoadedBeside(Experiment x, Func<string, bool> missing, string? extra)
    {
        string folder = x.Folder.File("adapter");
        x.Wrap("{}").Save(folder);
        Rewrite(folder, name => !missing(name), null, null, extra);
        AdapterLoadResult result = x.Wrap("{}").Load(folder, "second");
        return new JsonObject { ["missing_keys"] = Names(result.MissingKeys), ["unexpected_keys"] = Names(result.UnexpectedKeys) };
    }

    private static JsonNode? LoadedWith(Experiment x, Action<JsonObject> change) => LoadedAfter(x, folder =>
    {
        string path = Path.Combine(folder, AdapterConfig.FileName);
        JsonObject config = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        change(config);
        File.WriteAllText(path, config.ToJsonString());
    });

    private static JsonNode? LoadedFor(Experiment x, bool trainable)
    {
        x.Wrap("{}").Save(x.Folder.Path);
        PeftModel model = x.Wrap();
        model.Load(x.Folder.Path, trainable: trainable);
        return new JsonObject
        {
            ["trainable"] = Trainable(model),
            ["training_mode"] = model.Base.IsTraining,
            ["inference_mode"] = model.Configs[Default].InferenceMode,
        };
    }

    /// <summary>Writes the tensors of a folder anew: some left out, one of another shape, one added.</summary>
    private static void Rewrite(string folder, Func<string, bool> keep, string? reshaped, Func<Shape, Shape>? reshape, string? extra)
    {
        using var scope = new TensorScope();
        Dictionary<string, Tensor> tensors = [];
        using (SafetensorsFile file = PeftModel.OpenWeights(folder))
            foreach (SafetensorsEntry entry in file.Entries)
            {
                Tensor tensor = file.Read(entry.Name, Devices.Cpu);
                if (keep(entry.Name)) tensors.Add(entry.Name, tensor);
                else if (reshaped is not null && entry.Name.EndsWith(reshaped, StringComparison.Ordinal))
                {
                    Shape shape = reshape!(tensor.Shape);
                    float[] values = tensor.ToArray<float>();
                    tensors.Add(entry.Name, Tensor.From(
                        [.. Enumerable.Range(0, (int)shape.ElementCount).Select(i => values[i % values.Length])], shape, Devices.Cpu));
                }
            }
        if (extra is not null) tensors.Add(extra, Tensor.From<float>([1, 2], [1, 2], Devices.Cpu));
        SafetensorsFile.Write(Path.Combine(folder, PeftModel.WeightsFileName), tensors);
    }
}
