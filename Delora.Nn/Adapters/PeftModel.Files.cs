using System.Collections.Immutable;
using System.Text;
using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Adapter folders, with PEFT's file names, keys and layout.</summary>
public sealed partial class PeftModel
{
    /// <summary>The file of an adapter folder that holds its tensors.</summary>
    public const string WeightsFileName = "adapter_model.safetensors";

    private const string KeyPrefix = "base_model.model.";

    /// <summary>
    /// Writes every adapter as PEFT's <c>save_pretrained</c> does: <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>, in the folder itself for
    /// the adapter called <c>default</c>, in a subfolder of its name for every other. Each file is replaced as a whole or not at all.
    /// </summary>
    /// <param name="folder">Made where it does not exist.</param>
    /// <param name="names">The adapters to save; all where none is named.</param>
    /// <exception cref="ArgumentException">There is no adapter of that name.</exception>
    public void Save(string folder, params string[] names)
    {
        foreach (string name in names.Length == 0 ? [.. _configs.Keys] : names)
        {
            if (!_configs.TryGetValue(name, out AdapterConfig? config)) throw new ArgumentException($"There is no adapter '{name}'.", nameof(names));
            string path = name == DefaultAdapter ? folder : Path.Combine(folder, name);
            Directory.CreateDirectory(path);
            using (var scope = new TensorScope("save adapter"))
                SafetensorsFile.Write(Path.Combine(path, WeightsFileName), SavedTensors(name), floatType: DType.Float32);
            byte[] json = Encoding.UTF8.GetBytes(AsSaved(config).ToJson());
            AtomicFile.Write(Path.Combine(path, AdapterConfig.FileName), stream => stream.Write(json));
        }
    }

    /// <summary>Reads an adapter folder, DeLoRA or LoRA, that PEFT or this library wrote, and activates the adapter alone.</summary>
    /// <param name="folder">The folder with <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>.</param>
    /// <param name="name">The name that the adapter gets.</param>
    /// <param name="generator">Where dropout masks come from when the adapter is trained on; a fixed seed where nothing is given.</param>
    /// <param name="warn">Told what was ignored, for instance unknown fields; nothing is printed where it is null.</param>
    /// <exception cref="DeloraFormatException">A file is missing or wrong, tensors are missing or extra, or a shape does not fit the model.</exception>
    public void Load(string folder, string name = DefaultAdapter, Generator? generator = null, Action<string>? warn = null)
    {
        AdapterConfig config = AdapterConfig.Load(Path.Combine(folder, AdapterConfig.FileName), warn);
        using SafetensorsFile file = OpenWeights(folder, warn is null ? null : new SafetensorsOptions { Warn = warn });
        string path = file.Path;
        generator ??= new Generator(0);
        HashSet<string> used = [];
        List<string> missing = [];

        Tensor Read(string key, Shape shape, Device device)
        {
            used.Add(key);
            if (!file.Contains(key))
            {
                missing.Add(key);
                return Tensor.Zeros(shape, device.FloatType, device, key);
            }
            if (file[key].Shape != shape) throw new DeloraFormatException(path, key, $"has the shape {file[key].Shape}; the model and the configuration ask for {shape}.");
            return file.ReadFloat(key, device);
        }

        LinearAdapter Make(string layerName, Linear layer, AdapterTarget target)
        {
            string prefix = $"{KeyPrefix}{layerName}.";
            switch (config)
            {
                case DeloraConfig delora:
                    return new DeloraAdapter(
                        Read(prefix + "delora_A", [target.Rank, layer.In], layer.Device), Read(prefix + "delora_B", [layer.Out, target.Rank], layer.Device),
                        Read(prefix + "delora_lambda", [1], layer.Device), Read(prefix + "delora_w_norm", [layer.In], layer.Device),
                        (float)delora.ModuleDropout, generator);
                case LoraConfig lora:
                    return new LoraAdapter(
                        Read(prefix + "lora_A.weight", [target.Rank, layer.In], layer.Device), Read(prefix + "lora_B.weight", [layer.Out, target.Rank], layer.Device),
                        LoraAdapter.ScalingOf(lora, target), (float)lora.LoraDropout, generator);
                default:
                    throw new DeloraFormatException(config.Source, "peft_type", $"{config.PeftType} adapters are not supported; DELORA and LORA are.");
            }
        }

        using var scope = new TensorScope("load adapter");
        Add(name, config, Make, warn);
        try
        {
            foreach (SavedModule saved in _savedModules.Values.Where(saved => saved.Has(name)))
                foreach ((string own, Parameter parameter) in saved.Copies(name))
                    parameter.Value.CopyFrom(Read($"{KeyPrefix}{saved.Name}.{own}", parameter.Shape, parameter.Value.Device));
            foreach ((string key, Parameter bias) in SavedBiases(name))
                if (file.Contains(key)) bias.Value.CopyFrom(Read(key, bias.Shape, bias.Value.Device));
            string[] extra = [.. file.Entries.Select(entry => entry.Name).Where(key => !used.Contains(key))];
            if (missing.Count > 0 || extra.Length > 0)
                throw new DeloraFormatException(path, null, $"does not fit the model: missing {List(missing)}; not expected {List(extra)}.");
        }
        catch
        {
            Delete(name);
            throw;
        }
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

    private static string List(IReadOnlyCollection<string> keys) => keys.Count switch
    {
        0 => "nothing",
        <= 8 => string.Join(", ", keys),
        _ => $"{string.Join(", ", keys.Take(8))} and {keys.Count - 8} more",
    };

    private IEnumerable<KeyValuePair<string, Tensor>> SavedTensors(string name)
    {
        foreach ((string layerName, Linear layer) in AdaptedLayers)
        {
            if (!layer.Adapters.Contains(name)) continue;
            foreach ((string key, Tensor tensor) in layer.Adapters[name].CopyState()) yield return new($"{KeyPrefix}{layerName}.{key}", tensor);
        }
        foreach (SavedModule saved in _savedModules.Values.Where(saved => saved.Has(name)))
            foreach ((string own, Parameter parameter) in saved.Copies(name)) yield return new($"{KeyPrefix}{saved.Name}.{own}", parameter.Value);
        foreach ((string key, Parameter bias) in SavedBiases(name)) yield return new(key, bias.Value);
    }

    /// <summary>
    /// The biases that the adapter's <c>bias</c> setting trains, with the keys that PEFT gives them. PEFT itself looks for
    /// <c>delora_only</c> biases under a key that does not exist and leaves them out; here they are saved under the key that <c>all</c> uses.
    /// </summary>
    private IEnumerable<(string Key, Parameter Bias)> SavedBiases(string name)
    {
        AdapterBias mode = _configs[name].Bias;
        if (mode == AdapterBias.None) yield break;
        foreach ((string moduleName, Module module) in Base.NamedModules())
        {
            if (_savedModules.ContainsKey(moduleName) || IsInsideSavedModule(moduleName)) continue;
            bool adapted = module is Linear linear && linear.Adapters.Contains(name);
            if (!adapted && mode != AdapterBias.All) continue;
            foreach ((string own, Parameter parameter) in module.OwnParameters())
                if (own.Contains("bias", StringComparison.Ordinal)) yield return ($"{KeyPrefix}{moduleName}.{(adapted ? "base_layer." : "")}{own}", parameter);
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
