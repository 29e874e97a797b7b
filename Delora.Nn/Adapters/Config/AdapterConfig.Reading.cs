using System.Collections.Immutable;
using System.Text.Json;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Reading.</summary>
public abstract partial record AdapterConfig
{
    /// <summary>
    /// Fields that PEFT's constructor takes as they are and that are refused when a model is wrapped, with what they hold. Only a configuration that
    /// was read strictly has any.
    /// </summary>
    internal ImmutableSortedDictionary<string, DeferredField> Deferred { get; init; } =
        ImmutableSortedDictionary.Create<string, DeferredField>(StringComparer.Ordinal);

    /// <summary>Reads a configuration file.</summary>
    /// <param name="path">An <c>adapter_config.json</c>.</param>
    /// <param name="warn">Hears of what is kept but has no effect.</param>
    /// <param name="compatibility">Strict checks what PEFT's constructor checks, and leaves the rest until a model is wrapped.</param>
    /// <exception cref="DeloraFormatException">The file is not there, is not such a file, or a field is wrong.</exception>
    public static AdapterConfig Load(
        string path, Action<string>? warn = null, PeftCompatibility compatibility = PeftCompatibility.Extended) =>
        Read(JsonFields.Load(path), path, warn, compatibility);

    /// <summary>Reads the contents of a configuration file.</summary>
    /// <param name="json">UTF-8, with or without a byte order mark.</param>
    /// <param name="fileName">The name that errors give.</param>
    /// <param name="warn">Hears of what is kept but has no effect.</param>
    /// <param name="compatibility">Strict checks what PEFT's constructor checks, and leaves the rest until a model is wrapped.</param>
    /// <exception cref="DeloraFormatException">It is not such a file, or a field is wrong.</exception>
    public static AdapterConfig Parse(
        ReadOnlyMemory<byte> json, string fileName, Action<string>? warn = null,
        PeftCompatibility compatibility = PeftCompatibility.Extended) =>
        Read(JsonFields.Parse(json, fileName), fileName, warn, compatibility);

    /// <summary>Takes every field that the method knows; the others stay in <paramref name="fields"/>.</summary>
    private protected static AdapterConfig ReadFields(
        AdapterConfig config, JsonFields fields, string file, PeftCompatibility compatibility, Action<string>? hear)
    {
        void Warn(string message) => hear?.Invoke($"{file}: {message}");

        var reader = new FieldReader(fields, compatibility);
        config = config with
        {
            Source = file,
            TaskType = fields.Text("task_type", null),
            AutoMapping = fields.TryTake("auto_mapping", out JsonElement mapping) ? mapping : null,
            PeftVersion = reader.Text("peft_version"),
            BaseModelNameOrPath = reader.Text("base_model_name_or_path"),
            Revision = reader.Text("revision"),
            InferenceMode = reader.Flag("inference_mode", config.InferenceMode),
            R = reader.Rank("r", config.R),
            TargetModules = fields.Selector("target_modules"),
            ExcludeModules = reader.Selector("exclude_modules"),
            Bias = reader.Bias("bias", config.AdapterOnlyText, Warn),
            LayersToTransform = fields.Integers("layers_to_transform"),
            LayersPattern = fields.Texts("layers_pattern"),
            RankPattern = reader.IntegerPattern("rank_pattern"),
            ModulesToSave = reader.Texts("modules_to_save"),
        };
        if (config.AutoMapping is not null) Warn("auto_mapping is ignored: it names Python classes.");
        config = config.ReadOwnFields(reader, Warn) with { Deferred = reader.Deferred };
        if (compatibility == PeftCompatibility.Strict) config.ValidateConstruction();
        else config.Validate();
        return config;
    }

    private static AdapterConfig Read(JsonFields fields, string file, Action<string>? hear, PeftCompatibility compatibility)
    {
        string method = fields.Text("peft_type", null)
            ?? throw fields.Wrong("peft_type",
                $"is missing; {DeloraConfig.Method} or {LoraConfig.Method} is expected. Is this an adapter's configuration?");
        AdapterConfig config = method switch
        {
            DeloraConfig.Method => new DeloraConfig(),
            LoraConfig.Method => new LoraConfig(),
            _ => throw fields.Wrong("peft_type", $"'{method}' is not supported; {DeloraConfig.Method} and {LoraConfig.Method} are."),
        };
        config = ReadFields(config, fields, file, compatibility, hear);
        if (fields.Left.Count > 0)
            hear?.Invoke($"{file}: unknown fields are kept and have no effect: {string.Join(", ", fields.Left.Keys.Order(StringComparer.Ordinal))}.");
        return config with { AdditionalFields = config.AdditionalFields.AddRange(fields.Left) };
    }
}

/// <summary>A field that is kept although it is wrong.</summary>
/// <param name="Value">What the file holds.</param>
/// <param name="Error">Why it is refused in the end.</param>
internal sealed record DeferredField(JsonElement Value, DeloraFormatException Error);
