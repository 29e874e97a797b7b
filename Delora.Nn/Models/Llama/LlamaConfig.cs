using System.Globalization;
using System.Text.Json;
using Delora.Core;

namespace Delora.Nn;

/// <summary>The configuration of a <see cref="LlamaForCausalLM"/>: <c>config.json</c> with <c>"model_type": "llama"</c>.</summary>
/// <remarks>Source of the fields and defaults: transformers, <c>LlamaConfig</c>.</remarks>
public sealed record LlamaConfig : ModelConfig
{
    /// <summary>The family's <c>model_type</c>.</summary>
    public const string Family = "llama";

    /// <inheritdoc/>
    public override string ModelType => Family;

    /// <inheritdoc/>
    public override string Architecture => "LlamaForCausalLM";

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

    /// <summary><c>tie_word_embeddings</c>: the output layer uses the embedding table.</summary>
    public bool TieWordEmbeddings { get; init; }

    /// <summary><c>attention_bias</c>: biases on the four projections of the attention.</summary>
    public bool AttentionBias { get; init; }

    /// <summary><c>mlp_bias</c>: biases in the feed-forward part.</summary>
    public bool MlpBias { get; init; }

    /// <summary><c>initializer_range</c>: standard deviation of new weights.</summary>
    public double InitializerRange { get; init; } = 0.02;

    /// <summary><c>attention_dropout</c>: kept for other readers of the file, and not applied.</summary>
    public double AttentionDropout { get; init; }

    /// <summary>Heads of keys and values, whichever way they are given.</summary>
    public int KeyValueHeads => NumKeyValueHeads ?? NumAttentionHeads;

    /// <summary>Features of a head, whichever way they are given.</summary>
    public int HeadSize => HeadDim ?? HiddenSize / Math.Max(1, NumAttentionHeads);

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, Shape> TensorShapes()
    {
        Validate();
        int query = checked(NumAttentionHeads * HeadSize), keys = checked(KeyValueHeads * HeadSize);
        var shapes = new Dictionary<string, Shape> { ["model.embed_tokens.weight"] = [VocabSize, HiddenSize] };
        for (int i = 0; i < NumHiddenLayers; i++)
        {
            string layer = string.Create(CultureInfo.InvariantCulture, $"model.layers.{i}");
            AddLinear($"{layer}.self_attn.q_proj", query, HiddenSize, AttentionBias);
            AddLinear($"{layer}.self_attn.k_proj", keys, HiddenSize, AttentionBias);
            AddLinear($"{layer}.self_attn.v_proj", keys, HiddenSize, AttentionBias);
            AddLinear($"{layer}.self_attn.o_proj", HiddenSize, query, AttentionBias);
            AddLinear($"{layer}.mlp.gate_proj", IntermediateSize, HiddenSize, MlpBias);
            AddLinear($"{layer}.mlp.up_proj", IntermediateSize, HiddenSize, MlpBias);
            AddLinear($"{layer}.mlp.down_proj", HiddenSize, IntermediateSize, MlpBias);
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

    /// <summary>Takes the fields of a configuration file.</summary>
    internal static LlamaConfig Read(JsonFields fields, string file, Action<string>? hear)
    {
        void Warn(string message) => hear?.Invoke($"{file}: {message}");

        LlamaConfig config = new()
        {
            Source = file,
            VocabSize = Required(fields, "vocab_size"),
            HiddenSize = Required(fields, "hidden_size"),
            IntermediateSize = Required(fields, "intermediate_size"),
            NumHiddenLayers = Required(fields, "num_hidden_layers"),
            NumAttentionHeads = Required(fields, "num_attention_heads"),
            NumKeyValueHeads = fields.OptionalInteger("num_key_value_heads"),
            HeadDim = fields.OptionalInteger("head_dim"),
            MaxPositionEmbeddings = fields.Integer("max_position_embeddings", 2048),
            RmsNormEps = fields.Number("rms_norm_eps", 1e-6),
            RopeTheta = ReadRope(fields),
            TieWordEmbeddings = fields.Flag("tie_word_embeddings", false),
            AttentionBias = fields.Flag("attention_bias", false),
            MlpBias = fields.Flag("mlp_bias", false),
            InitializerRange = fields.Number("initializer_range", 0.02),
            AttentionDropout = fields.Number("attention_dropout", 0),
            BosTokenId = fields.OptionalInteger("bos_token_id"),
            EosTokenIds = fields.Integers("eos_token_id") ?? [],
        };
        string activation = fields.Text("hidden_act", "silu");
        if (activation != "silu") throw fields.Wrong("hidden_act", $"'{activation}' is not supported; silu is.");
        if (fields.TryTake("quantization_config", out _))
            throw fields.Wrong("quantization_config", "quantised weights are not supported; float32, bfloat16 and float16 are.");
        if (config.AttentionDropout != 0) Warn($"attention_dropout {PythonJson.Float(config.AttentionDropout)} is not applied in training.");
        // What is written again from the model itself.
        foreach (string own in (string[])["architectures", "torch_dtype", "dtype"]) fields.TryTake(own, out _);
        config = config with { AdditionalFields = config.AdditionalFields.AddRange(fields.Left) };
        config.Validate();
        return config;
    }

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
    }

    private protected override void WriteOwnFields(SortedDictionary<string, object?> fields)
    {
        fields["hidden_size"] = HiddenSize;
        fields["intermediate_size"] = IntermediateSize;
        fields["num_hidden_layers"] = NumHiddenLayers;
        fields["num_attention_heads"] = NumAttentionHeads;
        fields["num_key_value_heads"] = KeyValueHeads;
        fields["head_dim"] = HeadSize;
        fields["hidden_act"] = "silu";
        fields["rms_norm_eps"] = RmsNormEps;
        fields["rope_theta"] = RopeTheta;
        fields["rope_scaling"] = null;
        fields["attention_bias"] = AttentionBias;
        fields["attention_dropout"] = AttentionDropout;
        fields["mlp_bias"] = MlpBias;
        fields["tie_word_embeddings"] = TieWordEmbeddings;
        fields["initializer_range"] = InitializerRange;
    }

    private static int Required(JsonFields fields, string field) =>
        fields.OptionalInteger(field) ?? throw fields.Wrong(field, "is missing.");

    /// <summary><c>rope_theta</c>, in the place where the file has it: later versions of transformers write <c>rope_parameters</c>.</summary>
    private static double ReadRope(JsonFields fields)
    {
        double theta = fields.Number("rope_theta", 10000);
        foreach (string field in (string[])["rope_scaling", "rope_parameters"])
        {
            if (fields.Object(field) is not { } inner) continue;
            string type = inner.Text("rope_type", inner.Text("type", "default"));
            if (type != "default") throw fields.Wrong(field, $"the scaling '{type}' is not supported.");
            theta = inner.Number("rope_theta", theta);
        }
        return theta;
    }
}
