using System.Collections.Immutable;
using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Writing adapter folders, with PEFT's file names, keys and layout.</summary>
public sealed partial class PeftModel
{
    /// <summary>The file of an adapter folder that holds its tensors.</summary>
    public const string WeightsFileName = "adapter_model.safetensors";

    internal const string KeyPrefix = "base_model.model.";

    /// <summary>Writes every adapter, or those that are named, in float32; see <see cref="Save(string, DType, string[])"/>.</summary>
    /// <inheritdoc cref="Save(string, DType, string[])"/>
    public void Save(string folder, params string[] names) => Save(folder, DType.Float32, names);

    /// <summary>
    /// Writes every adapter as PEFT's <c>save_pretrained</c> does: <c>adapter_model.safetensors</c> and then <c>adapter_config.json</c>, in
    /// the folder itself for the adapter called <c>default</c>, in a subfolder of its name for every other, and at the end the model card,
    /// <c>README.md</c>. Each file is replaced as a whole or not at all.
    /// </summary>
    /// <param name="folder">Made where it does not exist.</param>
    /// <param name="storeAs">The type of the tensors in the file: float32, or bfloat16 and float16, which round them.</param>
    /// <param name="names">The adapters to save; all where none is named.</param>
    /// <exception cref="ArgumentException">There is no adapter of that name; nothing was written.</exception>
    /// <exception cref="DTypeException">Tensors are not stored in that type.</exception>
    /// <exception cref="NonFiniteException">A number is too large for the type.</exception>
    /// <exception cref="DeloraException">
    /// The system refused (no permission, disk full); the file that was being written is as it was.
    /// </exception>
    public void Save(string folder, DType storeAs, params string[] names)
    {
        ArgumentNullException.ThrowIfNull(folder);
        ArgumentNullException.ThrowIfNull(names);
        using IDisposable? alone = WaitUntilAlone();
        if (names.Length == 0) names = [.. _configs.Keys];
        // All of them before the first file is touched.
        foreach (string name in names) RequireAdapter(name, nameof(names));
        (string Name, AdapterConfig Config)[] adapters = [.. names.Distinct().Select(name => (name, MarkBeyondPeft(name, AsSaved(_configs[name]))))];
        foreach ((_, AdapterConfig config) in adapters) config.Validate(Compatibility);
        foreach ((string name, AdapterConfig config) in adapters)
        {
            using var scope = new TensorScope("save adapter");
            AdapterFolder.Write(name == DefaultAdapter ? folder : Path.Combine(folder, name), config, SavedTensors(name), storeAs, Compatibility);
        }
        if (adapters.Length == 0) return;
        FolderFile.Make(folder);
        ModelCard.Write(folder, adapters, Base is IAdaptable);
    }

    /// <summary>Makes what saving the adapters makes on the device, and writes nothing.</summary>
    internal void RehearseSave()
    {
        foreach (string name in _configs.Keys)
        {
            using var scope = new TensorScope("save adapter");
            foreach (KeyValuePair<string, Tensor> _ in SavedTensors(name).ToArray())
            {
                // The writer keeps them all until it has written them.
            }
        }
    }

    private IEnumerable<KeyValuePair<string, Tensor>> SavedTensors(string name)
    {
        foreach ((string layerName, IAdaptedLayer layer) in Layers)
        {
            if (!layer.Adapters.Contains(name)) continue;
            foreach ((string key, Tensor tensor) in layer.Adapters[name].CopyState()) yield return new($"{KeyPrefix}{layerName}.{key}", tensor);
        }
        foreach (KeyValuePair<string, Tensor> beside in SavedBeside(name)) yield return beside;
    }

    /// <summary>What an adapter trained beside its low-rank branches, modules as a whole and biases; and base weights that PEFT saves along.</summary>
    private IEnumerable<KeyValuePair<string, Tensor>> SavedBeside(string name)
    {
        foreach (SavedModule saved in _savedModules.Values.Where(saved => saved.Has(name)))
            foreach ((string own, Parameter parameter) in saved.Copies(name)) yield return new($"{KeyPrefix}{saved.Name}.{own}", parameter.Value);
        foreach ((string key, IAdaptedLayer layer) in SavedBaseWeights(_configs[name], Layers.Where(pair => pair.Layer.Adapters.Contains(name))))
            yield return new(key, layer.Adapters.CopyBase());
        HashSet<string> adapted = [.. Layers.Where(pair => pair.Layer.Adapters.Contains(name)).Select(pair => pair.Name)];
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
