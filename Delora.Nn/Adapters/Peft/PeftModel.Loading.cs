using Delora.Autograd;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Reading adapter folders.</summary>
public sealed partial class PeftModel
{
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
        (string Key, IAdaptedLayer Layer)[] weights = [.. SavedBaseWeights(config, plan.Layers.Select(entry => (entry.Target.Name, entry.Layer)))];
        CheckTensors(file, plan, biases, weights);

        Attach(plan, (layerName, layer, target) =>
        {
            Tensor[] tensors = [.. AdapterTensors(config, layer, target)
                .Select(entry => file.ReadFloat($"{KeyPrefix}{layerName}.{entry.Key}", layer.Device))];
            bool onEmbedding = layer.Kind == ModuleKind.Embedding;
            return config is LoraConfig lora
                ? new LoraAdapter(tensors[0], tensors[1], LoraAdapter.ScalingOf(lora, target), (float)lora.LoraDropout, generator, onEmbedding)
                : new DeloraAdapter(tensors[0], tensors[1], tensors[2], tensors[3], (float)((DeloraConfig)config).ModuleDropout, generator,
                    onEmbedding: onEmbedding);
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
            TakeBaseWeights(file, weights, warn);
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
    private static (string Key, Shape Shape)[] AdapterTensors(AdapterConfig config, IAdaptedLayer layer, AdapterTarget target)
    {
        bool onEmbedding = layer.Kind == ModuleKind.Embedding;
        Shape a = [target.Rank, layer.In], b = [layer.Out, target.Rank];
        return config switch
        {
            DeloraConfig => [.. DeloraAdapter.Keys(onEmbedding).Zip((Shape[])[a, b, [1], [layer.In]])],
            LoraConfig => [.. LoraAdapter.Keys(onEmbedding).Zip((Shape[])[a, b])],
            _ => throw config.Wrong("peft_type", $"{config.PeftType} adapters are not supported; DELORA and LORA are."),
        };
    }

    /// <summary>Compares a file with what a plan needs, before memory is spent on either.</summary>
    private static void CheckTensors(
        SafetensorsFile file, AdapterPlan plan, (string Key, Parameter Bias)[] biases, (string Key, IAdaptedLayer Layer)[] weights)
    {
        Dictionary<string, Shape> needed = [];
        foreach ((IAdaptedLayer layer, AdapterTarget target) in plan.Layers)
            foreach ((string key, Shape shape) in AdapterTensors(plan.Config, layer, target))
                needed.Add($"{KeyPrefix}{target.Name}.{key}", shape);
        foreach ((string name, Module module) in plan.Saved)
            foreach ((string own, ModuleState state) in module.NamedState()) needed.Add($"{KeyPrefix}{name}.{own}", state.Shape);
        string[] missing = [.. needed.Keys.Where(key => !file.Contains(key))];
        // PEFT leaves some biases out, and base weights where it is told to, so they may be there or not.
        foreach ((string key, Parameter bias) in biases) needed.Add(key, bias.Shape);
        foreach ((string key, IAdaptedLayer layer) in weights) needed.Add(key, layer.WeightState.Shape);
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
}
