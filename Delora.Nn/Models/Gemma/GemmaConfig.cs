using System.Diagnostics.CodeAnalysis;
using Delora.Core;

namespace Delora.Nn;

/// <summary>The configuration of a <see cref="GemmaForCausalLM"/>: <c>config.json</c> with <c>"model_type": "gemma"</c>.</summary>
/// <remarks>Source of the fields and defaults: transformers, <c>GemmaConfig</c>, <c>GemmaMLP</c> of version 4.47.</remarks>
public sealed record GemmaConfig : DecoderConfig
{
    /// <summary>The family's <c>model_type</c>.</summary>
    public const string Family = "gemma";

    private const int UsualHeadDim = 256;
    private const string UsualActivation = "gelu_pytorch_tanh";

    /// <summary>A configuration with the family's defaults; head_dim is 256 whatever the hidden size, and the embeddings are tied.</summary>
    public GemmaConfig() => (HeadDim, TieWordEmbeddings) = (UsualHeadDim, true);

    [SetsRequiredMembers]
    internal GemmaConfig(JsonFields fields, string file, Action<string> warn)
        : base(fields, file, new DecoderDefaults(8192, 16, UsualHeadDim, 2, 1) { TieWordEmbeddings = true }, warn)
    {
        bool names = fields.Left.ContainsKey("hidden_act");
        AttentionBias = fields.Flag("attention_bias", false);
        HiddenAct = fields.Text("hidden_act", UsualActivation);
        HiddenActivation = fields.Text("hidden_activation", null);
        if (names && HiddenAct != Activation)
            warn($"hidden_act '{HiddenAct}' has no effect, as in transformers: the activation is '{Activation}', by hidden_activation.");
    }

    /// <inheritdoc/>
    public override string ModelType => Family;

    /// <inheritdoc/>
    public override string Architecture => "GemmaForCausalLM";

    /// <summary><c>attention_bias</c>: biases on the four projections of the attention.</summary>
    public bool AttentionBias { get; init; }

    /// <summary><c>hidden_act</c>: written again, and not used: the first files name the exact function, the models have its tanh approximation.</summary>
    public string HiddenAct { get; init; } = UsualActivation;

    /// <summary><c>hidden_activation</c>: the function of the gate; null: <c>gelu_pytorch_tanh</c>.</summary>
    public string? HiddenActivation { get; init; }

    /// <inheritdoc/>
    public override string Activation => HiddenActivation ?? UsualActivation;

    /// <inheritdoc/>
    public override double NormOffset => 1;

    /// <summary>√hidden_size, in float32 as transformers has it.</summary>
    public override double EmbeddingScale => (float)Math.Sqrt(HiddenSize);

    /// <inheritdoc/>
    public override bool HasQueryKeyValueBias => AttentionBias;

    /// <inheritdoc/>
    public override bool HasOutputBias => AttentionBias;

    internal override DecoderForCausalLM Build(Device device, WeightSource weights) => new GemmaForCausalLM(this, device, weights);

    private protected override void ValidateOwnFields()
    {
        base.ValidateOwnFields();
        if (!Nn.HiddenActivation.IsKnown(Activation))
            throw Wrong("hidden_activation", $"'{Activation}' is not supported; {Nn.HiddenActivation.Names} are.");
    }

    private protected override void WriteOwnFields(SortedDictionary<string, object?> fields)
    {
        base.WriteOwnFields(fields);
        fields["hidden_act"] = HiddenAct;
        fields["hidden_activation"] = HiddenActivation;
        fields["attention_bias"] = AttentionBias;
    }
}
