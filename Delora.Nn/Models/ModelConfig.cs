using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// What every model's <c>config.json</c> says, with the names of HuggingFace transformers in .NET casing. Immutable; change a copy with
/// <c>with</c>. Errors name the fields as the file does.
/// </summary>
/// <remarks>Source of the fields: transformers, <c>PretrainedConfig</c>.</remarks>
public abstract record ModelConfig
{
    /// <summary>Name of the file in a model folder.</summary>
    public const string FileName = "config.json";

    private const string OlderDType = "torch_dtype", NewerDType = "dtype";

    private static readonly SortedDictionary<string, Func<JsonFields, string, Action<string>, ModelConfig>> s_families =
        new(StringComparer.Ordinal)
        {
            [BertConfig.Family] = (fields, file, warn) => EncoderConfig.Read(new BertConfig { VocabSize = 30522 }, fields, file, warn),
            [GemmaConfig.Family] = (fields, file, warn) => DecoderConfig.Complete(new GemmaConfig(fields, file, warn), fields),
            [GPT2Config.Family] = (fields, file, _) => GPT2Config.Read(fields, file),
            [LlamaConfig.Family] = (fields, file, warn) => DecoderConfig.Complete(new LlamaConfig(fields, file, warn), fields),
            [MistralConfig.Family] = (fields, file, warn) => DecoderConfig.Complete(new MistralConfig(fields, file, warn), fields),
            [Qwen2Config.Family] = (fields, file, warn) => DecoderConfig.Complete(new Qwen2Config(fields, file, warn), fields),
            [Qwen3Config.Family] = (fields, file, warn) => DecoderConfig.Complete(new Qwen3Config(fields, file, warn), fields),
            [RobertaConfig.Family] = (fields, file, warn) => EncoderConfig.Read(new RobertaConfig { VocabSize = 50265 }, fields, file, warn),
        };

    private protected ModelConfig()
    {
        Source = GetType().Name;
    }

    /// <summary>The <c>model_type</c> of every family that is supported.</summary>
    public static IReadOnlyCollection<string> Families => s_families.Keys;

    /// <summary><c>model_type</c>: the family, for instance <c>llama</c>.</summary>
    public abstract string ModelType { get; }

    /// <summary><c>architectures</c>: the class that transformers loads the folder with.</summary>
    public abstract string Architecture { get; }

    /// <summary>Where the configuration comes from, as error messages say it: the path of its file, or the type's name.</summary>
    public string Source { get; init; }

    /// <summary>The dropout that the configuration asks for in training and that is not applied, in the file's words; null for none.</summary>
    internal abstract string? DropoutLeftOut { get; }

    /// <summary><c>vocab_size</c>: ids are 0 … vocab_size − 1.</summary>
    public required int VocabSize { get; init; }

    /// <summary><c>max_position_embeddings</c>: the longest sequence, in tokens.</summary>
    public int MaxPositionEmbeddings { get; init; } = 2048;

    /// <summary><c>bos_token_id</c>: the token that begins a text; null for none.</summary>
    public int? BosTokenId { get; init; }

    /// <summary><c>eos_token_id</c>: the tokens that end a text; empty for none.</summary>
    public ImmutableArray<int> EosTokenIds { get; init; } = [];

    /// <summary>
    /// The tokens at which generation stops: <c>eos_token_id</c> of <c>generation_config.json</c> where a model folder has it, else
    /// <see cref="EosTokenIds"/>.
    /// </summary>
    public ImmutableArray<int> StopTokenIds
    {
        get => field.IsDefault ? EosTokenIds : field;
        init;
    }

    /// <summary>Fields of the file that this version does not use. They are written back.</summary>
    public ImmutableSortedDictionary<string, JsonElement> AdditionalFields { get; init; } =
        ImmutableSortedDictionary.Create<string, JsonElement>(StringComparer.Ordinal);

    /// <summary>Whether the file holds <c>dtype</c>, as later versions of transformers write it, instead of <c>torch_dtype</c>.</summary>
    internal bool WritesDType { get; init; }

    /// <summary>Number of parameters; tied embeddings count once.</summary>
    public long ParameterCount => TensorShapes().Values.Sum(shape => shape.ElementCount);

    /// <summary>Names and shapes of all tensors: what a model folder holds.</summary>
    /// <exception cref="DeloraFormatException">A field is wrong.</exception>
    public abstract IReadOnlyDictionary<string, Shape> TensorShapes();

    /// <summary>Reads the configuration of a model folder.</summary>
    /// <param name="folder">A folder as transformers' <c>save_pretrained</c> writes it.</param>
    /// <param name="warn">Hears of what is set and has no effect here.</param>
    /// <exception cref="DeloraFormatException">
    /// The file is missing or wrong, or the family is not supported; the message lists those that are.
    /// </exception>
    public static ModelConfig Load(string folder, Action<string>? warn = null)
    {
        ArgumentNullException.ThrowIfNull(folder);
        if (!Directory.Exists(folder)) throw new DeloraFormatException(folder, null, "there is no such folder; a model folder is expected.");
        string path = Path.Combine(folder, FileName);
        JsonFields fields = JsonFields.Load(path);
        string type = fields.Text("model_type", null)
            ?? throw fields.Wrong("model_type", "is missing. Is this the folder of a transformers model?");
        return s_families.TryGetValue(type, out Func<JsonFields, string, Action<string>, ModelConfig>? read)
            ? read(fields, path, message => warn?.Invoke($"{path}: {message}"))
            : throw fields.Wrong("model_type", $"'{type}' is not supported; supported are {string.Join(", ", Families)}.");
    }

    /// <summary>The contents of <c>config.json</c>, as transformers reads it.</summary>
    /// <param name="storedAs">The type of the tensors beside it.</param>
    /// <exception cref="DeloraFormatException">A field is wrong.</exception>
    public string ToJson(DType storedAs = DType.Float32)
    {
        Validate();
        var fields =
            new SortedDictionary<string, object?>(AdditionalFields.ToDictionary(f => f.Key, f => (object?)f.Value), StringComparer.Ordinal)
            {
                ["model_type"] = ModelType,
                ["architectures"] = (string[])[Architecture],
                ["vocab_size"] = VocabSize,
                [ContextField] = MaxPositionEmbeddings,
                ["bos_token_id"] = BosTokenId,
                ["eos_token_id"] = EosTokenIds switch { [] => null, [int one] => one, _ => EosTokenIds.Select(id => (object)id) },
                [WritesDType ? NewerDType : OlderDType] = storedAs.Name,
            };
        WriteOwnFields(fields);
        return PythonJson.Write(fields);
    }

    /// <summary>Writes <c>config.json</c> into a folder.</summary>
    /// <param name="folder">An existing folder.</param>
    /// <param name="storedAs">The type of the tensors beside it.</param>
    /// <exception cref="DeloraException">The system refused; the old file is as it was.</exception>
    public void Save(string folder, DType storedAs = DType.Float32)
    {
        byte[] json = Encoding.UTF8.GetBytes(ToJson(storedAs));
        AtomicFile.Write(Path.Combine(folder, FileName), stream => stream.Write(json));
    }

    /// <summary>Checks every field and how they go together, before memory is spent.</summary>
    /// <exception cref="DeloraFormatException">A field is wrong.</exception>
    public void Validate()
    {
        RequireSize(VocabSize, "vocab_size", 1 << 24);
        RequireSize(MaxPositionEmbeddings, ContextField, 1 << 24);
        RequireId(BosTokenId, "bos_token_id");
        foreach (int id in EosTokenIds) RequireId(id, "eos_token_id");
        ValidateOwnFields();
    }

    /// <summary>The file's name of <see cref="MaxPositionEmbeddings"/>.</summary>
    private protected virtual string ContextField => "max_position_embeddings";

    /// <summary>The configuration of the same model with an output layer of its own.</summary>
    internal virtual ModelConfig Untied() => this;

    private protected abstract void ValidateOwnFields();

    private protected abstract void WriteOwnFields(SortedDictionary<string, object?> fields);

    /// <summary>The error that a field of this configuration is wrong.</summary>
    internal DeloraFormatException Wrong(string field, string reason) => new(Source, field, reason);

    /// <summary>A count of something that a model has; bounded, so that a made-up number ends here and not in an allocation.</summary>
    private protected void RequireSize(int value, string field, int most)
    {
        if (value < 1 || value > most) throw Wrong(field, $"must be from 1 to {most}, not {value}.");
    }

    /// <summary>A probability of dropout.</summary>
    private protected void RequireProbability(double value, string field)
    {
        if (!(value >= 0 && value < 1)) throw Wrong(field, $"must be at least 0 and below 1, not {PythonJson.Float(value)}.");
    }

    /// <summary>Takes the type of the tensors, which is written again from what is stored.</summary>
    /// <returns>Whether the file calls it as later versions do; one that has both names keeps the older, which all versions read.</returns>
    private protected static bool TakeDType(JsonFields fields)
    {
        bool newer = fields.Left.ContainsKey(NewerDType), older = fields.Left.ContainsKey(OlderDType);
        foreach (string name in (string[])[NewerDType, OlderDType]) fields.TryTake(name, out _);
        return newer && !older;
    }

    /// <summary>Refuses a file that says that the weights beside it are quantised.</summary>
    private protected static void RefuseQuantization(JsonFields fields)
    {
        if (fields.TryTake("quantization_config", out _))
            throw fields.Wrong("quantization_config", "quantised weights are not supported; float32, bfloat16 and float16 are.");
    }

    /// <summary>Refuses layers with fewer heads than the configuration says.</summary>
    private protected static void RefusePrunedHeads(JsonFields fields)
    {
        if (fields.Object("pruned_heads") is { Left.Count: > 0 })
            throw fields.Wrong("pruned_heads", "is not supported: every layer has all heads.");
    }

    private void RequireId(int? id, string field)
    {
        if (id is { } value && (value < 0 || value >= VocabSize))
            throw Wrong(field, $"must be from 0 to {VocabSize - 1}, below vocab_size, not {value}.");
    }
}
