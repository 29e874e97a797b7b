using System.Globalization;
using Delora.Core;

namespace Delora.Nn;

/// <summary>The configuration of a <see cref="GPT2LMHeadModel"/>: <c>config.json</c> with <c>"model_type": "gpt2"</c>.</summary>
/// <remarks>Source of the fields and defaults: transformers, <c>GPT2Config</c>.</remarks>
public sealed record GPT2Config : ModelConfig
{
    /// <summary>The family's <c>model_type</c>.</summary>
    public const string Family = "gpt2";

    /// <summary><c>&lt;|endoftext|&gt;</c> of the published vocabulary: both bos_token_id and eos_token_id where a file does not have them.</summary>
    private const int EndOfText = 50256;

    /// <summary>Names that transformers takes for the family's own.</summary>
    private static readonly (string Own, string Other)[] s_otherNames =
    [
        ("n_embd", "hidden_size"), ("n_layer", "num_hidden_layers"), ("n_head", "num_attention_heads"), ("n_positions", "max_position_embeddings"),
    ];

    /// <inheritdoc/>
    public override string ModelType => Family;

    /// <inheritdoc/>
    public override string Architecture => "GPT2LMHeadModel";

    /// <summary><c>n_embd</c>: features of a token between the layers.</summary>
    public required int HiddenSize { get; init; }

    /// <summary><c>n_layer</c>.</summary>
    public required int NumHiddenLayers { get; init; }

    /// <summary><c>n_head</c>: heads of queries, keys and values.</summary>
    public required int NumAttentionHeads { get; init; }

    /// <summary><c>n_inner</c>: features inside the feed-forward part; null: 4 · n_embd.</summary>
    public int? InnerSize { get; init; }

    /// <summary><c>activation_function</c> of the feed-forward part.</summary>
    public string ActivationFunction { get; init; } = "gelu_new";

    /// <summary><c>layer_norm_epsilon</c>.</summary>
    public double LayerNormEpsilon { get; init; } = 1e-5;

    /// <summary><c>scale_attn_weights</c>: scores are divided by √(features of a head).</summary>
    public bool ScaleAttentionWeights { get; init; } = true;

    /// <summary><c>scale_attn_by_inverse_layer_idx</c>: scores are also divided by the number of the layer, counted from 1.</summary>
    public bool ScaleAttentionByInverseLayerIndex { get; init; }

    /// <summary><c>tie_word_embeddings</c>: the output layer uses the embedding table.</summary>
    public bool TieWordEmbeddings { get; init; } = true;

    /// <summary><c>initializer_range</c>: standard deviation of new weights.</summary>
    public double InitializerRange { get; init; } = 0.02;

    /// <summary>
    /// <c>embd_pdrop</c>: kept for other readers of the file, and not applied, like the other two. They were for training all weights from
    /// scratch; the base model stays as it is here, and an adapter has a dropout of its own.
    /// </summary>
    public double EmbeddingDropout { get; init; } = 0.1;

    /// <summary><c>attn_pdrop</c>: kept for other readers of the file, and not applied.</summary>
    public double AttentionDropout { get; init; } = 0.1;

    /// <summary><c>resid_pdrop</c>: kept for other readers of the file, and not applied.</summary>
    public double ResidualDropout { get; init; } = 0.1;

    /// <summary>Features of a head.</summary>
    public int HeadSize => HiddenSize / Math.Max(1, NumAttentionHeads);

    /// <summary>Features inside the feed-forward part, whichever way they are given.</summary>
    public int FeedForwardSize => InnerSize ?? checked(4 * HiddenSize);

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, Shape> TensorShapes()
    {
        Validate();
        var shapes = new Dictionary<string, Shape>
        {
            ["transformer.wte.weight"] = [VocabSize, HiddenSize],
            ["transformer.wpe.weight"] = [MaxPositionEmbeddings, HiddenSize],
        };
        for (int i = 0; i < NumHiddenLayers; i++)
        {
            string layer = string.Create(CultureInfo.InvariantCulture, $"transformer.h.{i}");
            AddNorm($"{layer}.ln_1");
            AddConv1D($"{layer}.attn.c_attn", HiddenSize, checked(3 * HiddenSize));
            AddConv1D($"{layer}.attn.c_proj", HiddenSize, HiddenSize);
            AddNorm($"{layer}.ln_2");
            AddConv1D($"{layer}.mlp.c_fc", HiddenSize, FeedForwardSize);
            AddConv1D($"{layer}.mlp.c_proj", FeedForwardSize, HiddenSize);
        }
        AddNorm("transformer.ln_f");
        if (!TieWordEmbeddings) shapes["lm_head.weight"] = [VocabSize, HiddenSize];
        return shapes;

        void AddConv1D(string name, int @in, int @out)
        {
            shapes[$"{name}.weight"] = [@in, @out];
            shapes[$"{name}.bias"] = [@out];
        }

        void AddNorm(string name)
        {
            shapes[$"{name}.weight"] = [HiddenSize];
            shapes[$"{name}.bias"] = [HiddenSize];
        }
    }

    private protected override string ContextField => "n_positions";

    /// <summary>Takes the fields of a configuration file.</summary>
    internal static GPT2Config Read(JsonFields fields, string file)
    {
        // null is no such token; and where the vocabulary is smaller, there is none either.
        int vocabulary = Required(fields, "vocab_size");
        int? usual = vocabulary > EndOfText ? EndOfText : null;
        bool hasBegin = fields.Left.ContainsKey("bos_token_id"), hasEnd = fields.Left.ContainsKey("eos_token_id");
        GPT2Config config = new()
        {
            Source = file,
            VocabSize = vocabulary,
            HiddenSize = Required(fields, "n_embd"),
            NumHiddenLayers = Required(fields, "n_layer"),
            NumAttentionHeads = Required(fields, "n_head"),
            MaxPositionEmbeddings = fields.Integer("n_positions", 1024),
            InnerSize = fields.OptionalInteger("n_inner"),
            ActivationFunction = fields.Text("activation_function", "gelu_new"),
            LayerNormEpsilon = fields.Number("layer_norm_epsilon", 1e-5),
            ScaleAttentionWeights = fields.Flag("scale_attn_weights", true),
            ScaleAttentionByInverseLayerIndex = fields.Flag("scale_attn_by_inverse_layer_idx", false),
            TieWordEmbeddings = fields.Flag("tie_word_embeddings", true),
            InitializerRange = fields.Number("initializer_range", 0.02),
            EmbeddingDropout = fields.Number("embd_pdrop", 0.1),
            AttentionDropout = fields.Number("attn_pdrop", 0.1),
            ResidualDropout = fields.Number("resid_pdrop", 0.1),
            BosTokenId = hasBegin ? fields.OptionalInteger("bos_token_id") : usual,
            EosTokenIds = hasEnd || usual is null ? fields.Integers("eos_token_id") ?? [] : [usual.Value],
        };
        RefuseOtherModels(fields);
        foreach ((string own, string other) in s_otherNames)
            if (fields.OptionalInteger(other) is { } value && value != config.Size(own))
                throw fields.Wrong(other, $"{value} contradicts {own} {config.Size(own)}, which it is another name of.");
        // Written again from the model itself.
        fields.TryTake("architectures", out _);
        config = config with { WritesDType = TakeDType(fields), AdditionalFields = config.AdditionalFields.AddRange(fields.Left) };
        config.Validate();
        return config;
    }

    internal override string? DropoutLeftOut => EmbeddingDropout == 0 && AttentionDropout == 0 && ResidualDropout == 0
        ? null
        : $"embd_pdrop {PythonJson.Float(EmbeddingDropout)}, attn_pdrop {PythonJson.Float(AttentionDropout)}, resid_pdrop {PythonJson.Float(ResidualDropout)}";

    internal override ModelConfig Untied() => this with { TieWordEmbeddings = false };

    private protected override void ValidateOwnFields()
    {
        RequireSize(HiddenSize, "n_embd", 1 << 20);
        RequireSize(NumHiddenLayers, "n_layer", 4096);
        RequireSize(NumAttentionHeads, "n_head", 1 << 14);
        if (InnerSize is { } inner) RequireSize(inner, "n_inner", 1 << 22);
        if (HiddenSize % NumAttentionHeads != 0) throw Wrong("n_embd", $"{HiddenSize} is not divisible by n_head {NumAttentionHeads}.");
        if (!HiddenActivation.IsKnown(ActivationFunction))
            throw Wrong("activation_function", $"'{ActivationFunction}' is not supported; {HiddenActivation.Names} are.");
        if (!(LayerNormEpsilon >= 0 && double.IsFinite(LayerNormEpsilon))) throw Wrong("layer_norm_epsilon", "must be a finite number ≥ 0.");
        if (!(InitializerRange >= 0 && double.IsFinite(InitializerRange))) throw Wrong("initializer_range", "must be a finite number ≥ 0.");
        RequireProbability(EmbeddingDropout, "embd_pdrop");
        RequireProbability(AttentionDropout, "attn_pdrop");
        RequireProbability(ResidualDropout, "resid_pdrop");
    }

    private protected override void WriteOwnFields(SortedDictionary<string, object?> fields)
    {
        fields["n_embd"] = HiddenSize;
        fields["n_layer"] = NumHiddenLayers;
        fields["n_head"] = NumAttentionHeads;
        fields["n_inner"] = InnerSize;
        fields["activation_function"] = ActivationFunction;
        fields["layer_norm_epsilon"] = LayerNormEpsilon;
        fields["scale_attn_weights"] = ScaleAttentionWeights;
        fields["scale_attn_by_inverse_layer_idx"] = ScaleAttentionByInverseLayerIndex;
        fields["initializer_range"] = InitializerRange;
        fields["embd_pdrop"] = EmbeddingDropout;
        fields["attn_pdrop"] = AttentionDropout;
        fields["resid_pdrop"] = ResidualDropout;
        // transformers leaves out what it takes for granted.
        if (!TieWordEmbeddings) fields["tie_word_embeddings"] = false;
    }

    private static int Required(JsonFields fields, string field) => fields.OptionalInteger(field) ?? throw fields.Wrong(field, "is missing.");

    /// <summary>What would be another model than the one that is computed here.</summary>
    private static void RefuseOtherModels(JsonFields fields)
    {
        foreach (string field in (string[])["add_cross_attention", "is_encoder_decoder"])
            if (fields.Flag(field, false)) throw fields.Wrong(field, "true is not supported: there is no encoder to attend to.");
        RefusePrunedHeads(fields);
        RefuseQuantization(fields);
    }

    private int Size(string field) => field switch
    {
        "n_embd" => HiddenSize,
        "n_layer" => NumHiddenLayers,
        "n_head" => NumAttentionHeads,
        _ => MaxPositionEmbeddings,
    };
}
