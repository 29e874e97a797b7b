using System.Collections.Immutable;
using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Adapter folders, with PEFT's file names, keys and layout.</summary>
public sealed partial class PeftModel
{
    /// <summary>The file of an adapter folder that holds its tensors.</summary>
    public const string WeightsFileName = "adapter_model.safetensors";

    internal const string KeyPrefix = "base_model.model.";

    /// <summary>
    /// Writes every adapter as PEFT's <c>save_pretrained</c> does: <c>adapter_model.safetensors</c> and then <c>adapter_config.json</c>, in
    /// the folder itself for the adapter called <c>default</c>, in a subfolder of its name for every other. Each file is replaced as a whole
    /// or not at all.
    /// </summary>
    /// <param name="folder">Made where it does not exist.</param>
    /// <param name="names">The adapters to save; all where none is named.</param>
    /// <exception cref="ArgumentException">There is no adapter of that name; nothing was written.</exception>
    /// <exception cref="DeloraException">
    /// The system refused (no permission, disk full); the file that was being written is as it was.
    /// </exception>
    public void Save(string folder, params string[] names)
    {
        if (names.Length == 0) names = [.. _configs.Keys];
        // All of them before the first file is touched.
        (string Name, AdapterConfig Config)[] adapters = [.. names.Select(name => (name, AsSaved(
            _configs.GetValueOrDefault(name) ?? throw new ArgumentException($"There is no adapter '{name}'.", nameof(names)))))];
        foreach ((_, AdapterConfig config) in adapters) config.Validate();
        foreach ((string name, AdapterConfig config) in adapters)
        {
            using var scope = new TensorScope("save adapter");
            AdapterFolder.Write(name == DefaultAdapter ? folder : Path.Combine(folder, name), config, SavedTensors(name));
        }
    }

    /// <summary>
    /// Reads an adapter folder, DeLoRA or LoRA, that PEFT or this library wrote, and activates the adapter alone. On any failure the model
    /// computes what it did before.
    /// </summary>
    /// <param name="folder">The folder with <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>.</param>
    /// <param name="name">The name that the adapter gets.</param>
    /// <param name="generator">Where dropout masks come from when the adapter is trained on; a fixed seed where nothing is given.</param>
    /// <param name="warn">
    /// Told what was ignored, for instance unknown fields, and of NaN or infinity in the weights. Where it is null the latter goes to
    /// <see cref="System.Diagnostics.Trace"/>.
    /// </param>
    /// <param name="strict">Whether NaN or infinity in the weights is an error.</param>
    /// <exception cref="DeloraFormatException">
    /// A file is missing or wrong, tensors are missing or extra, or a shape does not fit the model.
    /// </exception>
    /// <exception cref="InvalidOperationException">Adapters are merged.</exception>
    public void Load(
        string folder, string name = DefaultAdapter, Generator? generator = null, Action<string>? warn = null, bool strict = false)
    {
        using IDisposable? alone = WaitUntilAlone();
        AdapterConfig config = AdapterConfig.Load(Path.Combine(folder, AdapterConfig.FileName), warn);
        var options = new SafetensorsOptions { Strict = strict };
        using SafetensorsFile file = OpenWeights(folder, warn is null ? options : options with { Warn = warn });
        generator ??= new Generator(0);
        AdapterPlan plan = Plan(name, config, warn);
        HashSet<string> adapted = [.. plan.Layers.Select(entry => entry.Target.Name)];
        string[] saved = [.. _savedModules.Keys, .. plan.Saved.Select(entry => entry.Name)];
        (string Key, Parameter Bias)[] biases = [.. SavedBiases(config.Bias, adapted, saved)];
        CheckTensors(file, plan, biases);

        Attach(plan, (layerName, layer, target) =>
        {
            Tensor[] tensors = [.. AdapterTensors(config, layer, target)
                .Select(entry => file.ReadFloat($"{KeyPrefix}{layerName}.{entry.Key}", layer.Device))];
            return config is LoraConfig lora
                ? new LoraAdapter(tensors[0], tensors[1], LoraAdapter.ScalingOf(lora, target), (float)lora.LoraDropout, generator)
                : new DeloraAdapter(tensors[0], tensors[1], tensors[2], tensors[3], (float)((DeloraConfig)config).ModuleDropout, generator);
        });
        try
        {
            using var scope = new TensorScope("load adapter");
            foreach ((string module, _) in plan.Saved)
                foreach ((string own, Parameter parameter) in _savedModules[module].Copies(name))
                    parameter.Value.CopyFrom(file.ReadFloat($"{KeyPrefix}{module}.{own}", parameter.Value.Device));
            // All are read before the first of the base model's own is overwritten.
            (Parameter Bias, Tensor Value)[] values = [.. biases.Where(entry => file.Contains(entry.Key))
                .Select(entry => (entry.Bias, file.ReadFloat(entry.Key, entry.Bias.Value.Device)))];
            foreach ((Parameter bias, Tensor value) in values) bias.Value.CopyFrom(value);
        }
        catch
        {
            Delete(name);
            throw;
        }
        Activate(name);
    }

    /// <summary>The tensors of one layer's adapter in a file, in the order of its constructor.</summary>
    private static (string Key, Shape Shape)[] AdapterTensors(AdapterConfig config, Linear layer, AdapterTarget target) => config switch
    {
        DeloraConfig =>
        [
            ("delora_A", [target.Rank, layer.In]), ("delora_B", [layer.Out, target.Rank]),
            ("delora_lambda", [1]), ("delora_w_norm", [layer.In]),
        ],
        LoraConfig => [("lora_A.weight", [target.Rank, layer.In]), ("lora_B.weight", [layer.Out, target.Rank])],
        _ => throw config.Wrong("peft_type", $"{config.PeftType} adapters are not supported; DELORA and LORA are."),
    };

    /// <summary>Compares a file with what a plan needs, before memory is spent on either.</summary>
    private static void CheckTensors(SafetensorsFile file, AdapterPlan plan, (string Key, Parameter Bias)[] biases)
    {
        Dictionary<string, Shape> needed = [];
        foreach ((Linear layer, AdapterTarget target) in plan.Layers)
            foreach ((string key, Shape shape) in AdapterTensors(plan.Config, layer, target))
                needed.Add($"{KeyPrefix}{target.Name}.{key}", shape);
        foreach ((string name, Module module) in plan.Saved)
            foreach ((string own, ModuleState state) in module.NamedState()) needed.Add($"{KeyPrefix}{name}.{own}", state.Shape);
        string[] missing = [.. needed.Keys.Where(key => !file.Contains(key))];
        // PEFT leaves some biases out, so they may be there or not.
        foreach ((string key, Parameter bias) in biases) needed.Add(key, bias.Shape);
        string[] extra = [.. file.Entries.Select(entry => entry.Name).Where(key => !needed.ContainsKey(key))];
        string[] wrong = [.. needed.Where(pair => file.Contains(pair.Key) && file[pair.Key].Shape != pair.Value)
            .Select(pair => $"{pair.Key} has the shape {file[pair.Key].Shape} instead of {pair.Value}")];
        if (missing.Length + extra.Length + wrong.Length > 0)
            throw new DeloraFormatException(file.Path, null, "does not fit the model and the configuration: " +
                $"missing {Names.List(missing)}; not expected {Names.List(extra)}; of another shape {Names.List(wrong)}.");
    }

    /// <summary>Opens the tensors of an adapter folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="options">What to do about NaN and infinity: a warning where nothing is given.</param>
    /// <exception cref="DeloraFormatException">There are none, they are pickled, or the file is damaged.</exception>
    public static SafetensorsFile OpenWeights(string folder, SafetensorsOptions? options = null)
    {
        string path = Path.Combine(folder, WeightsFileName);
        if (!File.Exists(path) && File.Exists(Path.Combine(folder, "adapter_model.bin")))
            throw new DeloraFormatException(
                folder, "adapter_model.bin", "is a pickle file, which can run code when it is read: convert it to safetensors.");
        return SafetensorsFile.Open(path, options);
    }

    private IEnumerable<KeyValuePair<string, Tensor>> SavedTensors(string name)
    {
        foreach ((string layerName, Linear layer) in AdaptedLayers)
        {
            if (!layer.Adapters.Contains(name)) continue;
            foreach ((string key, Tensor tensor) in layer.Adapters[name].CopyState()) yield return new($"{KeyPrefix}{layerName}.{key}", tensor);
        }
        foreach (KeyValuePair<string, Tensor> beside in SavedBeside(name)) yield return beside;
    }

    /// <summary>What an adapter trained beside its low-rank branches: modules as a whole, and biases.</summary>
    private IEnumerable<KeyValuePair<string, Tensor>> SavedBeside(string name)
    {
        foreach (SavedModule saved in _savedModules.Values.Where(saved => saved.Has(name)))
            foreach ((string own, Parameter parameter) in saved.Copies(name)) yield return new($"{KeyPrefix}{saved.Name}.{own}", parameter.Value);
        HashSet<string> adapted = [.. AdaptedLayers.Where(pair => pair.Layer.Adapters.Contains(name)).Select(pair => pair.Name)];
        foreach ((string key, Parameter bias) in SavedBiases(_configs[name].Bias, adapted, _savedModules.Keys))
            yield return new(key, bias.Value);
    }

    /// <summary>
    /// The biases that an adapter's <c>bias</c> setting trains, with the keys that PEFT gives them. PEFT itself looks for
    /// <c>delora_only</c> biases under a key that does not exist and leaves them out; here they are saved under the key that <c>all</c> uses.
    /// </summary>
    private IEnumerable<(string Key, Parameter Bias)> SavedBiases(
        AdapterBias mode, HashSet<string> adapted, IReadOnlyCollection<string> saved)
    {
        if (mode == AdapterBias.None) yield break;
        foreach ((string moduleName, Module module) in Base.NamedModules())
        {
            if (IsSaved(moduleName, saved)) continue;
            bool isAdapted = adapted.Contains(moduleName);
            if (!isAdapted && mode != AdapterBias.All) continue;
            foreach ((string own, Parameter parameter) in module.OwnParameters())
                if (own.Contains("bias", StringComparison.Ordinal))
                    yield return ($"{KeyPrefix}{moduleName}.{(isAdapted ? "base_layer." : "")}{own}", parameter);
        }
    }

    /// <summary>What the file says: for inference, and with the residual initialization as the plain adapter of twice the rank and twice the λ that it is.</summary>
    private static AdapterConfig AsSaved(AdapterConfig config) => config switch
    {
        DeloraConfig { ResidualInitialization: true } delora => delora with
        {
            InferenceMode = true,
            ResidualInitialization = false,
            R = checked(2 * delora.R),
            DeloraLambda = 2 * delora.DeloraLambda,
            RankPattern = [.. delora.RankPattern.Select(pair => KeyValuePair.Create(pair.Key, checked(2 * pair.Value)))],
            LambdaPattern = [.. delora.LambdaPattern.Select(pair => KeyValuePair.Create(pair.Key, 2 * pair.Value))],
        },
        _ => config with { InferenceMode = true },
    };
}
