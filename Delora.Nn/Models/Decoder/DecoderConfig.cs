using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// What the configurations of Llama and its relatives share (<see cref="DecoderForCausalLM"/>), and what they differ in: biases, norms of
/// the heads, windows; with Gemma also the offset of norms, the scale of embeddings and the activation.
/// </summary>
/// <remarks>
/// Source of the fields and defaults: transformers, <c>LlamaConfig</c>, <c>MistralConfig</c>, <c>Qwen2Config</c>, <c>Qwen3Config</c>,
/// <c>GemmaConfig</c>.
/// </remarks>
public abstract record DecoderConfig : ModelConfig
{
    internal const string Silu = "silu";

    private protected DecoderConfig()
    {
    }

    /// <summary>Takes the fields that all families have.</summary>
    /// <param name="fields">The file's fields.</param>
    /// <param name="file">The file.</param>
    /// <param name="defaults">What absent fields stand for in the family.</param>
    /// <param name="warn">Hears of what has no effect.</param>
    [SetsRequiredMembers]
    private protected DecoderConfig(JsonFields fields, string file, DecoderDefaults defaults, Action<string> warn)
    {
        Source = file;
        VocabSize = Required("vocab_size");
        HiddenSize = Required("hidden_size");
        IntermediateSize = Required("intermediate_size");
        NumHiddenLayers = Required("num_hidden_layers");
        NumAttentionHeads = Required("num_attention_heads");
        NumKeyValueHeads = OrAbsent("num_key_value_heads", defaults.KeyValueHeads);
        HeadDim = OrAbsent("head_dim", defaults.HeadDim);
        MaxPositionEmbeddings = fields.Integer("max_position_embeddings", defaults.Positions);
        RmsNormEps = fields.Number("rms_norm_eps", 1e-6);
        (RopeTheta, RopeScaling, WritesRopeParameters) = RopeFields.Read(fields, warn);
        TieWordEmbeddings = fields.Flag("tie_word_embeddings", defaults.TieWordEmbeddings);
        InitializerRange = fields.Number("initializer_range", 0.02);
        AttentionDropout = fields.Number("attention_dropout", 0);
        AbsentIds = [.. ((string[])["bos_token_id", "eos_token_id"]).Where(field => !fields.Left.ContainsKey(field))];
        BosTokenId = OrAbsent("bos_token_id", defaults.BosTokenId);
        EosTokenIds = fields.Left.ContainsKey("eos_token_id") || defaults.EosTokenId is null
            ? fields.Integers("eos_token_id") ?? [] : [defaults.EosTokenId.Value];
        RefuseQuantization(fields);

        int Required(string field) => fields.OptionalInteger(field) ?? throw fields.Wrong(field, "is missing.");

        int? OrAbsent(string field, int? otherwise) => fields.Left.ContainsKey(field) ? fields.OptionalInteger(field) : otherwise;
    }

    /// <summary><c>hidden_size</c>: features of a token between the layers.</summary>
    public required int HiddenSize { get; init; }

    /// <summary><c>intermediate_size</c>: features inside the feed-forward part.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary><c>num_hidden_layers</c>.</summary>
    public required int NumHiddenLayers { get; init; }

    /// <summary><c>num_attention_heads</c>: query heads.</summary>
    public required int NumAttentionHeads { get; init; }

    /// <summary><c>num_key_value_heads</c>: heads of keys and values, each shared by a group of query heads; null: as many.</summary>
    public int? NumKeyValueHeads { get; init; }

    /// <summary><c>head_dim</c>: features of a head; null: hidden_size / num_attention_heads.</summary>
    public int? HeadDim { get; init; }

    /// <summary><c>rms_norm_eps</c>.</summary>
    public double RmsNormEps { get; init; } = 1e-6;

    /// <summary><c>rope_theta</c>: base of the rotary frequencies.</summary>
    public double RopeTheta { get; init; } = 10000;

    /// <summary><c>rope_scaling</c>: how the rotary frequencies are stretched for longer texts; null: they are not.</summary>
    public RopeScaling? RopeScaling { get; init; }

    /// <summary>
    /// Whether the file holds <c>rope_parameters</c>, as transformers 5 writes it, instead of <c>rope_theta</c> and <c>rope_scaling</c>.
    /// </summary>
    internal bool WritesRopeParameters { get; init; }

    /// <summary><c>tie_word_embeddings</c>: the output layer uses the embedding table.</summary>
    public bool TieWordEmbeddings { get; init; }

    /// <summary><c>initializer_range</c>: standard deviation of new weights.</summary>
    public double InitializerRange { get; init; } = 0.02;

    /// <summary><c>attention_dropout</c>: kept for other readers of the file, and not applied.</summary>
    public double AttentionDropout { get; init; }

    /// <summary>Which of <c>bos_token_id</c> and <c>eos_token_id</c> the file does not have.</summary>
    private protected ImmutableArray<string> AbsentIds { get; init; } = [];

    /// <summary>Heads of keys and values, whichever way they are given.</summary>
    public int KeyValueHeads => NumKeyValueHeads ?? NumAttentionHeads;

    /// <summary>Features of a head, whichever way they are given.</summary>
    public int HeadSize => HeadDim ?? HiddenSize / Math.Max(1, NumAttentionHeads);

    /// <summary>Whether the projections to queries, keys and values have biases.</summary>
    public abstract bool HasQueryKeyValueBias { get; }

    /// <summary>Whether the output projection of the attention has a bias.</summary>
    public virtual bool HasOutputBias => false;

    /// <summary>Whether the feed-forward part has biases.</summary>
    public virtual bool HasMlpBias => false;

    /// <summary>Whether each head of queries and keys is normed before it is turned.</summary>
    public virtual bool HasHeadNorms => false;

    /// <summary>What is added to the weights of norms: they norm, and do no more, with weights of 1 − NormOffset.</summary>
    public virtual double NormOffset => 0;

    /// <summary>What the embeddings are multiplied by.</summary>
    public virtual double EmbeddingScale => 1;

    /// <summary>The function of the gate in the feed-forward part, by transformers' name.</summary>
    public virtual string Activation => Silu;

    /// <summary>How many keys a query of a layer sees at most, its own the last; null for all before it.</summary>
    /// <param name="layer">Number of the layer, from 0.</param>
    public virtual int? WindowOf(int layer) => null;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, Shape> TensorShapes()
    {
        Validate();
        int query = checked(NumAttentionHeads * HeadSize), keys = checked(KeyValueHeads * HeadSize);
        var shapes = new Dictionary<string, Shape> { ["model.embed_tokens.weight"] = [VocabSize, HiddenSize] };
        for (int i = 0; i < NumHiddenLayers; i++)
        {
            string layer = string.Create(CultureInfo.InvariantCulture, $"model.layers.{i}");
            AddLinear($"{layer}.self_attn.q_proj", query, HiddenSize, HasQueryKeyValueBias);
            AddLinear($"{layer}.self_attn.k_proj", keys, HiddenSize, HasQueryKeyValueBias);
            AddLinear($"{layer}.self_attn.v_proj", keys, HiddenSize, HasQueryKeyValueBias);
            AddLinear($"{layer}.self_attn.o_proj", HiddenSize, query, HasOutputBias);
            if (HasHeadNorms) shapes[$"{layer}.self_attn.q_norm.weight"] = shapes[$"{layer}.self_attn.k_norm.weight"] = [HeadSize];
            AddLinear($"{layer}.mlp.gate_proj", IntermediateSize, HiddenSize, HasMlpBias);
            AddLinear($"{layer}.mlp.up_proj", IntermediateSize, HiddenSize, HasMlpBias);
            AddLinear($"{layer}.mlp.down_proj", HiddenSize, IntermediateSize, HasMlpBias);
            shapes[$"{layer}.input_layernorm.weight"] = [HiddenSize];
            shapes[$"{layer}.post_attention_layernorm.weight"] = [HiddenSize];
        }
        shapes["model.norm.weight"] = [HiddenSize];
        if (!TieWordEmbeddings) shapes["lm_head.weight"] = [VocabSize, HiddenSize];
        return shapes;

        void AddLinear(string name, int @out, int @in, bool bias)
        {
            shapes[$"{name}.weight"] = [@out, @in];
            if (bias) shapes[$"{name}.bias"] = [@out];
        }
    }

    /// <summary>The family's model over given weights.</summary>
    internal abstract DecoderForCausalLM Build(Device device, WeightSource weights);

    /// <summary>The rotary frequencies, [HeadSize / 2].</summary>
    internal float[] RotaryFrequencies() => (RopeScaling ?? RopeScaling.None).Frequencies(HeadSize, RopeTheta, MaxPositionEmbeddings);

    /// <summary>What cos and sin are multiplied by.</summary>
    internal double RotaryFactor() => (RopeScaling ?? RopeScaling.None).CosineFactor(MaxPositionEmbeddings);

    /// <summary>A configuration whose own fields are read, with what is left in the file, checked.</summary>
    internal static DecoderConfig Complete(DecoderConfig config, JsonFields fields)
    {
        if (config.Activation == Silu && fields.Text("hidden_act", Silu) is var activation and not Silu)
            throw fields.Wrong("hidden_act", $"'{activation}' is not supported; {Silu} is.");
        // The first Llama was a LLaMAForCausalLM.
        if (fields.Texts("architectures") is { Length: > 0 } classes && !classes.Contains(config.Architecture, StringComparer.OrdinalIgnoreCase))
            throw fields.Wrong("architectures",
                $"'{classes[0]}' is not supported for the model_type '{config.ModelType}'; {config.Architecture} is.");
        config = config with { WritesDType = TakeDType(fields), AdditionalFields = config.AdditionalFields.AddRange(fields.Left) };
        config.Validate();
        return config;
    }

    internal override string? DropoutLeftOut => AttentionDropout == 0 ? null : $"attention_dropout {PythonJson.Float(AttentionDropout)}";

    internal override ModelConfig Untied() => this with { TieWordEmbeddings = false };

    private protected override void ValidateOwnFields()
    {
        RequireSize(HiddenSize, "hidden_size", 1 << 20);
        RequireSize(IntermediateSize, "intermediate_size", 1 << 22);
        RequireSize(NumHiddenLayers, "num_hidden_layers", 4096);
        RequireSize(NumAttentionHeads, "num_attention_heads", 1 << 14);
        if (NumKeyValueHeads is { } keyHeads) RequireSize(keyHeads, "num_key_value_heads", 1 << 14);
        if (HeadDim is { } headDim) RequireSize(headDim, "head_dim", 1 << 14);
        if (HeadDim is null && HiddenSize % NumAttentionHeads != 0)
            throw Wrong("hidden_size", $"{HiddenSize} is not divisible by num_attention_heads {NumAttentionHeads}.");
        if (NumAttentionHeads % KeyValueHeads != 0)
            throw Wrong("num_attention_heads", $"{NumAttentionHeads} is not divisible by num_key_value_heads {KeyValueHeads}.");
        if (HeadSize % 2 != 0) throw Wrong("head_dim", $"{HeadSize} is odd; rotary embeddings turn pairs.");
        if (!(RmsNormEps >= 0 && double.IsFinite(RmsNormEps))) throw Wrong("rms_norm_eps", "must be a finite number ≥ 0.");
        if (!(RopeTheta > 0 && double.IsFinite(RopeTheta))) throw Wrong("rope_theta", "must be a finite number above 0.");
        if (!(InitializerRange >= 0 && double.IsFinite(InitializerRange))) throw Wrong("initializer_range", "must be a finite number ≥ 0.");
        RopeScaling?.Validate(Wrong, RopeTheta, MaxPositionEmbeddings);
        if (RotaryFrequencies().Any(frequency => !float.IsFinite(frequency * MaxPositionEmbeddings)))
            throw Wrong("rope_theta", $"{PythonJson.Float(RopeTheta)} gives rotary angles that are not finite.");
    }

    private protected override void WriteOwnFields(SortedDictionary<string, object?> fields)
    {
        fields["hidden_size"] = HiddenSize;
        fields["intermediate_size"] = IntermediateSize;
        fields["num_hidden_layers"] = NumHiddenLayers;
        fields["num_attention_heads"] = NumAttentionHeads;
        fields["num_key_value_heads"] = KeyValueHeads;
        if (HeadDim is not null) fields["head_dim"] = HeadSize;
        fields["hidden_act"] = Activation;
        fields["rms_norm_eps"] = RmsNormEps;
        RopeFields.Write(this, fields);
        fields["attention_dropout"] = AttentionDropout;
        fields["tie_word_embeddings"] = TieWordEmbeddings;
        fields["initializer_range"] = InitializerRange;
    }
}
