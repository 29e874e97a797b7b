using Delora.Core;

namespace Delora.Nn;

/// <summary>Reading adapter folders.</summary>
public sealed partial class PeftModel
{
    /// <summary>
    /// Reads an adapter folder, DeLoRA or LoRA, that PEFT or this library wrote, and activates the adapter alone (strictly, only where none is active).
    /// Its tensors are read straight to where the model lies, one at a time; w comes from the file, so no weight of the model is copied. 16-bit
    /// tensors are widened. On any failure the model computes what it did before.
    /// </summary>
    /// <param name="folder">The folder with <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>.</param>
    /// <param name="name">The name that the adapter gets. The strict mode overwrites the tensors of an adapter that there is.</param>
    /// <param name="generator">Where dropout masks come from when the adapter is trained on; a fixed seed where nothing is given.</param>
    /// <param name="warn">
    /// Told what was ignored, for instance unknown fields, and of NaN or infinity in the weights. Where it is null <see cref="Warn"/> is told; where that
    /// is null too the latter goes to <see cref="System.Diagnostics.Trace"/>.
    /// </param>
    /// <param name="strict">Whether NaN or infinity in the weights is an error.</param>
    /// <param name="trainable">Whether the adapter is to be trained (PEFT's <c>is_trainable</c>); it is not unless asked for.</param>
    /// <param name="ignoreMismatchedSizes">Whether tensors of another shape are passed over, with a warning.</param>
    /// <returns>What did not fit and was let pass.</returns>
    /// <exception cref="DeloraFormatException">
    /// A file is missing or wrong, tensors are missing or extra (which the strict mode lets pass, as PEFT does), or a shape does not fit the model.
    /// </exception>
    /// <exception cref="ArgumentException">There is an adapter of that name, or it cannot name one.</exception>
    /// <exception cref="InvalidOperationException">The base model has adapters of another <see cref="PeftModel"/>.</exception>
    public AdapterLoadResult Load(
        string folder, string name = DefaultAdapter, Generator? generator = null, Action<string>? warn = null, bool strict = false,
        bool trainable = false, bool ignoreMismatchedSizes = false)
    {
        ArgumentNullException.ThrowIfNull(folder);
        ArgumentNullException.ThrowIfNull(name);
        using IDisposable? alone = WaitUntilAlone();
        warn ??= Warn;
        AdapterConfig config = AdapterConfig.Load(Path.Combine(folder, AdapterConfig.FileName), warn, Compatibility);
        var options = new SafetensorsOptions { Strict = strict };
        using SafetensorsFile file = OpenWeights(folder, warn is null ? options : options with { Warn = warn });
        var tensors = AdapterTensors.Of(file);
        config.Validate(Compatibility);
        if (Compatibility == PeftCompatibility.Strict && _configs.ContainsKey(name)) return Overwrite(name, tensors, ignoreMismatchedSizes, warn);
        AdapterPlan plan = Plan(name, config with { InferenceMode = !trainable }, warn);
        AdapterLoadResult result = AttachFrom(tensors, plan, generator ?? new Generator(0), ignoreMismatchedSizes, warn);
        // PEFT's from_pretrained puts a model that is not trained into evaluation mode.
        if (Compatibility == PeftCompatibility.Strict && !trainable) Base.Train(false);
        return result;
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
