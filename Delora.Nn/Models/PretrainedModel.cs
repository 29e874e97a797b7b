using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Delora.Core;
using Delora.Kernels;

namespace Delora.Nn;

/// <summary>
/// A model as HuggingFace transformers publishes it: configuration and weights in a folder. Loaded, it is immutable but for adapters: many
/// requests may compute at once.
/// </summary>
public abstract partial class PretrainedModel : Module, IAdaptable
{
    /// <summary>transformers' limit of one file of weights: <c>max_shard_size="5GB"</c>.</summary>
    public const long DefaultMaxShardBytes = 5_000_000_000;

    private protected PretrainedModel(Device device) => Device = device;

    /// <summary>Where the model lies.</summary>
    public Device Device { get; }

    /// <summary>The configuration.</summary>
    public abstract ModelConfig Config { get; }

    /// <inheritdoc/>
    public abstract TargetOptions Targets { get; }

    /// <summary>
    /// Whether training keeps only what goes into each layer and computes the layer again on the way back
    /// (<see cref="Autograd.Functions.Checkpoint"/>): memory for the activations of one layer instead of all, for one more forward pass. Gradients are
    /// the same to the bit. A model whose adapters change between a forward pass and its backward pass refuses the latter.
    /// </summary>
    public bool Checkpointing { get; set; }

    /// <summary>Loads a model folder, frozen and in evaluation mode; its configuration says which model it is.</summary>
    /// <param name="folder">A folder with <c>config.json</c> and safetensors files.</param>
    /// <param name="device">Where.</param>
    /// <param name="warn">Hears of what is ignored, and of NaN or infinity in the weights.</param>
    /// <param name="strict">Whether NaN or infinity in the weights is an error.</param>
    /// <param name="frozen">How linear layers keep their weights: float32 where nothing is given.</param>
    /// <exception cref="DeloraFormatException">
    /// A file is missing or wrong, tensors are missing or extra, a shape does not fit, or the family is not supported.
    /// </exception>
    /// <exception cref="NonFiniteException">The storage of frozen weights cannot keep a number.</exception>
    /// <exception cref="ArgumentException">The storage of frozen weights does not keep the directions that are asked for.</exception>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    public static PretrainedModel Load(
        string folder, Device device, Action<string>? warn = null, bool strict = false, FrozenWeightOptions? frozen = null)
    {
        ArgumentNullException.ThrowIfNull(device);
        ModelConfig config = GenerationConfig.AddTo(ModelConfig.Load(folder, warn), folder);
        using WeightFiles weights = OpenWeights(folder, warn, strict, frozen);
        return config is EncoderConfig encoder
            ? EncoderModel.Load(encoder, weights, device, warn)
            : CausalLanguageModel.Load(config, weights, device);
    }

    /// <summary>
    /// Writes the model as transformers does: <c>config.json</c> and safetensors, as it computes now: with what is merged into it, and
    /// with biases and whole modules that an active adapter trained, but without low-rank branches. Where an adapter parts tied embeddings, both are
    /// written, and the configuration says that they are not tied. Every file is whole before one of an earlier save is replaced; those that no
    /// longer belong are removed at the end.
    /// </summary>
    /// <param name="folder">Made where it does not exist.</param>
    /// <param name="storeAs">
    /// The type of the tensors in the file: float32, or bfloat16 and float16, which round them. A model whose file held one of these is
    /// merged in float32 and rounded once.
    /// </param>
    /// <param name="maxShardBytes">
    /// The most bytes of tensors in one file (<c>max_shard_size</c>). A larger model is written as <c>model-00001-of-….safetensors</c> and
    /// <c>model.safetensors.index.json</c>, which says where each tensor is; a tensor that is larger by itself has a file of its own.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">The limit is below 1.</exception>
    /// <exception cref="DeloraException">The system refused.</exception>
    /// <exception cref="DTypeException">Tensors are not stored in that type.</exception>
    /// <exception cref="NonFiniteException">A number is too large for the type.</exception>
    public void Save(string folder, DType storeAs = DType.Float32, long maxShardBytes = DefaultMaxShardBytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxShardBytes, 1);
        using Lease lease = Enter();
        (string Name, ModuleState State)[] state = [.. NamedState()];
        IReadOnlyDictionary<string, Shape> tied = Config.TensorShapes();
        ModelConfig config = state.Any(entry => !tied.ContainsKey(entry.Name)) ? Config.Untied() : Config;
        FolderFile.Make(folder);
        try
        {
            WeightWriter.Write(folder, state, maxShardBytes, storeAs);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new DeloraException($"{folder}: the model could not be written: {error.Message}", error);
        }
        config.Save(folder, storeAs);
    }

    /// <summary>SHA-256 of all weights, in hexadecimal digits: whether two runs start from the same model. Low-rank branches are not part of it.</summary>
    public string Fingerprint()
    {
        const int Piece = 1 << 24;
        using Lease lease = Enter();
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach ((string name, ModuleState state) in NamedState())
        {
            using Tensor tensor = state.Read();
            if (Device.IsPlanning) continue;
            hash.AppendData(Encoding.UTF8.GetBytes($"{name} {tensor.Shape} "));
            for (long done = 0; done < tensor.ElementCount; done += Piece)
            {
                using Tensor piece = tensor.View([(int)Math.Min(Piece, tensor.ElementCount - done)], done);
                hash.AppendData(MemoryMarshal.AsBytes<float>(piece.ToArray<float>()));
            }
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>
    /// Frees the model. Waits for the forward pass that others compute; later ones get an <see cref="ObjectDisposedException"/>. A training run
    /// must have ended: its backward pass uses the weights too.
    /// </summary>
    public override void Dispose()
    {
        using IDisposable alone = WaitUntilAlone();
        _disposed = true;
        base.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected static WeightFiles OpenWeights(string folder, Action<string>? warn, bool strict, FrozenWeightOptions? frozen = null)
    {
        var options = new SafetensorsOptions { Strict = strict };
        return WeightFiles.Open(folder, warn is null ? options : options with { Warn = warn }, frozen);
    }
}
