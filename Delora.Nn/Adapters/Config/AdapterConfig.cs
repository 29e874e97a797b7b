using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// What an adapter is and which modules it adapts: the fields of PEFT's <c>adapter_config.json</c> that all methods share, with PEFT's
/// names in .NET
/// casing and PEFT's defaults. Immutable; change a copy with <c>with</c>. Errors name the fields as the file does.
/// </summary>
/// <remarks>Source of the fields and their rules: PEFT, <c>PeftConfig</c>, <c>DeloraConfig</c>, <c>LoraConfig</c>.</remarks>
public abstract partial record AdapterConfig
{
    /// <summary>Name of the file in an adapter folder.</summary>
    public const string FileName = "adapter_config.json";

    /// <summary>The largest rank: far above any that adapters have, low enough that a wrong one is refused before anything of its size is made.</summary>
    public const int MaxRank = 1 << 16;

    private static readonly string[] s_taskTypes =
        ["SEQ_CLS", "SEQ_2_SEQ_LM", "CAUSAL_LM", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION"];

    private protected AdapterConfig()
    {
        Source = GetType().Name;
    }

    /// <summary><c>peft_type</c>: the method, for instance <c>DELORA</c>.</summary>
    public abstract string PeftType { get; }

    /// <summary>Where the configuration comes from, as error messages say it: the path of its file, or the type's name.</summary>
    public string Source { get; init; }

    /// <summary><c>task_type</c>: for instance <c>CAUSAL_LM</c>; null where it does not matter.</summary>
    public string? TaskType { get; init; }

    /// <summary><c>auto_mapping</c>: names of Python classes. Kept and written back, never followed.</summary>
    public JsonElement? AutoMapping { get; init; }

    /// <summary><c>peft_version</c>: what wrote the file.</summary>
    public string? PeftVersion { get; init; }

    /// <summary><c>base_model_name_or_path</c>: the model that the adapter belongs to.</summary>
    public string? BaseModelNameOrPath { get; init; }

    /// <summary><c>revision</c> of the base model.</summary>
    public string? Revision { get; init; }

    /// <summary>
    /// <c>inference_mode</c>: the adapter is not trained. Files say true; an adapter loaded from them to be trained says false.
    /// </summary>
    public bool InferenceMode { get; init; }

    /// <summary><c>r</c>: the rank, at most <see cref="MaxRank"/>.</summary>
    public int R { get; init; } = 8;

    /// <summary><c>target_modules</c>: which modules are adapted; null for the default of the model's family.</summary>
    public ModuleSelector? TargetModules { get; init; }

    /// <summary><c>exclude_modules</c>: which modules are not, even where they are targets.</summary>
    public ModuleSelector? ExcludeModules { get; init; }

    /// <summary><c>bias</c>: which biases of the base model are trained as well.</summary>
    public AdapterBias Bias { get; init; }

    /// <summary>
    /// <c>init_weights</c> (LoRA: <c>init_lora_weights</c>): start as the base model. False: every tensor starts random.
    /// </summary>
    public bool InitWeights { get; init; } = true;

    /// <summary><c>layers_to_transform</c>: only layers of these numbers; null or empty for all. Needs a list of target modules.</summary>
    public ImmutableArray<int>? LayersToTransform { get; init; }

    /// <summary>
    /// <c>layers_pattern</c>: what comes before the layer's number in module names, for instance <c>layers</c>; null or empty for
    /// anything.
    /// </summary>
    public ImmutableArray<string>? LayersPattern { get; init; }

    /// <summary>
    /// <c>rank_pattern</c>: ranks of single modules. A key is a Python regular expression that must match the end of the module name
    /// after a dot, or
    /// all of it; the first key that matches wins.
    /// </summary>
    public ImmutableArray<KeyValuePair<string, int>> RankPattern { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary><c>modules_to_save</c>: modules that are trained and saved as a whole.</summary>
    public ImmutableArray<string>? ModulesToSave { get; init; }

    /// <summary>Fields of the file that this version does not know. They are written back.</summary>
    public ImmutableSortedDictionary<string, JsonElement> AdditionalFields { get; init; } =
        ImmutableSortedDictionary.Create<string, JsonElement>(StringComparer.Ordinal);

    /// <summary>The strength of a module where no pattern says otherwise: λ of DeLoRA, α of LoRA.</summary>
    internal abstract double Strength { get; }

    /// <summary>The field of dropout, as it is given.</summary>
    internal abstract double Dropout { get; }

    /// <summary>The dropout that acts: PEFT takes what is below 0 as none.</summary>
    internal double EffectiveDropout => Math.Max(0, Dropout);

    /// <summary>The strengths of single modules.</summary>
    internal abstract ImmutableArray<KeyValuePair<string, double>> StrengthPattern { get; }

    /// <summary>The file's name of <see cref="StrengthPattern"/>.</summary>
    internal abstract string StrengthPatternField { get; }

    /// <summary>The file's name for <see cref="AdapterBias.AdapterOnly"/>.</summary>
    private protected abstract string AdapterOnlyText { get; }

    /// <summary>The file's name of <see cref="InitWeights"/>.</summary>
    private protected abstract string InitWeightsField { get; }

    /// <summary>The contents of the configuration file, as PEFT writes it and reads it.</summary>
    /// <param name="compatibility">Strict writes what PEFT would write: a configuration with fields that would be refused only when a model is wrapped.</param>
    /// <exception cref="DeloraFormatException">A field is wrong.</exception>
    public string ToJson(PeftCompatibility compatibility = PeftCompatibility.Extended)
    {
        if (compatibility == PeftCompatibility.Strict) ValidateConstruction();
        else Validate();
        return WriteFields();
    }

    private string WriteFields()
    {
        var fields =
            new SortedDictionary<string, object?>(AdditionalFields.ToDictionary(f => f.Key, f => (object?)f.Value), StringComparer.Ordinal)
            {
                ["peft_type"] = PeftType,
                ["task_type"] = TaskType,
                ["auto_mapping"] = AutoMapping,
                ["peft_version"] = PeftVersion,
                ["base_model_name_or_path"] = BaseModelNameOrPath,
                ["revision"] = Revision,
                ["inference_mode"] = InferenceMode,
                ["r"] = R,
                ["target_modules"] = SelectorValue(TargetModules),
                ["exclude_modules"] = SelectorValue(ExcludeModules),
                ["bias"] = Bias switch { AdapterBias.None => "none", AdapterBias.All => "all", _ => AdapterOnlyText },
                [InitWeightsField] = InitWeights,
                ["layers_to_transform"] = LayersToTransform?.Select(layer => (object)layer),
                ["layers_pattern"] = LayersPattern,
                ["rank_pattern"] = RankPattern.Select(p => KeyValuePair.Create(p.Key, (object)p.Value)),
                [StrengthPatternField] = StrengthPattern.Select(p => KeyValuePair.Create(p.Key, WholeOrFloat(p.Value))),
                ["modules_to_save"] = ModulesToSave,
            };
        WriteOwnFields(fields);
        foreach ((string field, DeferredField deferred) in Deferred) fields[field] = deferred.Value;
        return PythonJson.Write(fields);
    }

    /// <summary>Whether both are of the same kind and hold the same in every field, lists and unknown fields included. <see cref="Source"/> is no field.</summary>
    public virtual bool Equals(AdapterConfig? other) =>
        other is not null && (ReferenceEquals(this, other) || (EqualityContract == other.EqualityContract && WriteFields() == other.WriteFields()));

    /// <summary>The same for configurations that are equal.</summary>
    public override int GetHashCode() => WriteFields().GetHashCode(StringComparison.Ordinal);

    /// <summary>Checks every field and how they go together.</summary>
    /// <param name="compatibility">Strict lets pass what PEFT lets pass when it wraps a model.</param>
    /// <exception cref="DeloraFormatException">A field is wrong.</exception>
    public void Validate(PeftCompatibility compatibility = PeftCompatibility.Extended)
    {
        ValidateConstruction();
        foreach (DeferredField deferred in Deferred.Values) throw deferred.Error;
        Require(R <= MaxRank, "r", $"must be at most {MaxRank}, not {R}.");
        foreach ((string key, int rank) in RankPattern)
            Require(rank is > 0 and <= MaxRank, $"rank_pattern[\"{key}\"]", $"must be {(rank > 0 ? $"at most {MaxRank}" : "at least 1")}, not {rank}.");
        foreach ((string key, double strength) in StrengthPattern)
            RequireFinite(strength, $"{StrengthPatternField}[\"{key}\"]");
        Require(Enum.IsDefined(Bias), "bias", $"{Bias} is not defined.");
        ValidateOwnFields(compatibility);
    }

    /// <summary>What PEFT checks when a configuration is made; the rest waits until a model is wrapped.</summary>
    private void ValidateConstruction()
    {
        Require(R > 0, "r", $"must be at least 1, not {R}.");
        Require(TaskType is null || s_taskTypes.Contains(TaskType), "task_type",
            $"'{TaskType}' is none of {string.Join(", ", s_taskTypes)}.");
        Require(TargetModules?.Pattern is null || LayersToTransform is null, "layers_to_transform",
            "cannot be used when target_modules is a single text; a list of names is needed.");
        Require(LayersPattern is null or [] || LayersToTransform is { IsEmpty: false }, "layers_pattern",
            "needs layers_to_transform to be given as well.");
    }

    /// <summary>
    /// A copy whose <see cref="ModulesToSave"/> holds the heads that the task trains from scratch: <c>classifier</c> and <c>score</c>
    /// for SEQ_CLS and
    /// TOKEN_CLS, <c>qa_outputs</c> for QUESTION_ANS.
    /// </summary>
    /// <remarks>Source: PEFT, <c>PeftModelForSequenceClassification</c> and its siblings.</remarks>
    public AdapterConfig WithTaskHeads()
    {
        ImmutableArray<string> heads = TaskType switch
        {
            "SEQ_CLS" or "TOKEN_CLS" => ["classifier", "score"],
            "QUESTION_ANS" => ["qa_outputs"],
            _ => [],
        };
        return heads.IsEmpty ? this : this with { ModulesToSave = [.. (ModulesToSave ?? []).Union(heads)] };
    }

    /// <summary>The error that a field of this configuration is wrong.</summary>
    internal DeloraFormatException Wrong(string field, string reason) => new(Source, field, reason);

    private protected void Require(bool condition, string field, string reason)
    {
        if (!condition) throw Wrong(field, reason);
    }

    /// <summary>As float32, in which adapters are computed and saved.</summary>
    private protected void RequireFinite(double value, string field) =>
        Require(float.IsFinite((float)value), field, $"must be finite as float32, not {value.ToString("R", CultureInfo.InvariantCulture)}.");

    /// <summary>PEFT takes anything that is not above 0 as no dropout, and PyTorch a probability of 1.</summary>
    private protected void RequireDropout(string field, PeftCompatibility compatibility)
    {
        bool isStrict = compatibility == PeftCompatibility.Strict;
        Require(isStrict ? Dropout <= 1 : Dropout is >= 0 and < 1, field,
            $"must be {(isStrict ? "at most 1" : "in [0, 1)")}, not {PythonJson.Float(Dropout)}.");
    }

    private protected static object WholeOrFloat(double value) =>
        value == Math.Truncate(value) && Math.Abs(value) <= int.MaxValue ? (object)(int)value : value;

    private protected abstract void ValidateOwnFields(PeftCompatibility compatibility);

    private protected abstract void WriteOwnFields(SortedDictionary<string, object?> fields);

    /// <summary>A copy with the fields of this method taken from a file.</summary>
    private protected abstract AdapterConfig ReadOwnFields(FieldReader reader, Action<string> warn);

    private static object? SelectorValue(ModuleSelector? selector) => selector is null ? null : selector.Pattern ?? (object)selector.Names;
}
