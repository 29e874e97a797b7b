using System.Collections.Immutable;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// Configuration of a DeLoRA adapter: <c>ΔW = B diag(s) (A ∘ w)</c> with <c>s_i = λ / (r · max(‖A_i‖, 1e-4) · max(‖B_i‖, 1e-4))</c>.
/// </summary>
/// <remarks>
/// Method: Bini, Girrbach, Akata, "Decoupling Angles and Strength in Low-rank Adaptation", ICLR 2025. Fields: PEFT's
/// <c>DeloraConfig</c>.
/// </remarks>
public sealed record DeloraConfig : AdapterConfig
{
    /// <summary>The method's <c>peft_type</c>.</summary>
    public const string Method = "DELORA";

    private const string BeyondPeftField = "beyond_peft";

    /// <inheritdoc/>
    public override string PeftType => Method;

    /// <summary>
    /// <c>delora_lambda</c>: where the trainable strength λ starts, the bound of ‖ΔW‖_F in units of the largest column norm of W.
    /// </summary>
    public double DeloraLambda { get; init; } = 15;

    /// <summary>
    /// <c>module_dropout</c>: probability that an element of the low-rank branch's input is dropped in training, in [0, 1). Strictly also 1, with
    /// which nothing is trained, and below 0, which is none.
    /// </summary>
    public double ModuleDropout { get; init; }

    /// <summary><c>lambda_pattern</c>: λ of single modules, with keys as those of <see cref="AdapterConfig.RankPattern"/>.</summary>
    public ImmutableArray<KeyValuePair<string, double>> LambdaPattern { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>
    /// Which of the two starts with ΔW = 0 is taken. False is PEFT's: B = 0. True is the paper's: A and B are random, and their initial branch,
    /// frozen and scaled by the same λ, is subtracted.
    /// </summary>
    /// <remarks>
    /// <para>
    /// From B = 0 the first step of Adam gives B a direction, and DeLoRA gives every direction the full length that λ sets: ΔW jumps from 0 to
    /// about λ/√(r·in) of the weight, whatever the learning rate, and the loss of a model that was good may jump with it. A small λ or a warm-up
    /// of λ (<see cref="LambdaOptions.WarmupSteps"/>) keeps the jump short. From the residual start ΔW grows smoothly.
    /// </para>
    /// <para>
    /// The residual start costs a second branch: the layer computes with the rank 2r, the bound is 2|λ|·max w, and the adapter is saved as the plain
    /// one of rank 2r and strength 2λ that it is, which PEFT computes too. It is not a field of the file: loaded again and trained on, both
    /// branches are trained. It needs <see cref="AdapterConfig.InitWeights"/> to be true; false (PEFT's <c>init_weights</c>) starts with
    /// a random B and nothing subtracted, so ΔW ≠ 0, which is for tests.
    /// </para>
    /// </remarks>
    public bool ResidualInitialization { get; init; }

    /// <summary>
    /// <c>beyond_peft</c>: the kinds of modules among the targets on which PEFT has no DeLoRA (<see cref="ModuleKind.Conv1D"/>,
    /// <see cref="ModuleKind.Embedding"/>): it refuses to load such an adapter, after a warning that names this field. Written when an adapter is
    /// saved, and left out where there are none; nothing depends on it when one is read.
    /// </summary>
    public ImmutableArray<string> BeyondPeft { get; init; } = [];

    /// <summary>
    /// PEFT's constructor by keywords, <c>DeloraConfig(**fields)</c>: as <see cref="AdapterConfig.Parse"/>, but a field that does not exist is refused
    /// instead of kept.
    /// </summary>
    /// <param name="json">A JSON object of the fields, UTF-8, without <c>peft_type</c>.</param>
    /// <param name="compatibility">Strict checks what PEFT's constructor checks, and leaves the rest until a model is wrapped.</param>
    /// <param name="warn">Hears of what is kept but has no effect.</param>
    /// <exception cref="DeloraFormatException">A field is wrong, or there is none of that name.</exception>
    public static DeloraConfig FromFields(
        ReadOnlyMemory<byte> json, PeftCompatibility compatibility = PeftCompatibility.Extended, Action<string>? warn = null)
    {
        JsonFields fields = JsonFields.Parse(json, nameof(DeloraConfig));
        var config = (DeloraConfig)ReadFields(new DeloraConfig(), fields, nameof(DeloraConfig), compatibility, warn);
        fields.RefuseLeft();
        return config;
    }

    /// <inheritdoc/>
    public bool Equals(DeloraConfig? other) => base.Equals(other) && ResidualInitialization == other.ResidualInitialization;

    /// <inheritdoc/>
    public override int GetHashCode() => base.GetHashCode();

    internal override double Strength => DeloraLambda;

    internal override double Dropout => ModuleDropout;

    internal override ImmutableArray<KeyValuePair<string, double>> StrengthPattern => LambdaPattern;

    internal override string StrengthPatternField => "lambda_pattern";

    private protected override string AdapterOnlyText => "delora_only";

    private protected override string InitWeightsField => "init_weights";

    private protected override void ValidateOwnFields(PeftCompatibility compatibility)
    {
        RequireFinite(DeloraLambda, "delora_lambda");
        RequireDropout("module_dropout", compatibility);
        Require(!ResidualInitialization || InitWeights, "init_weights",
            "false contradicts the residual initialization, which starts as the base model.");
    }

    private protected override void WriteOwnFields(SortedDictionary<string, object?> fields)
    {
        fields["delora_lambda"] = WholeOrFloat(DeloraLambda);
        fields["module_dropout"] = ModuleDropout;
        if (!BeyondPeft.IsDefaultOrEmpty) fields[BeyondPeftField] = BeyondPeft;
    }

    private protected override AdapterConfig ReadOwnFields(FieldReader reader, Action<string> warn) => this with
    {
        DeloraLambda = reader.Number("delora_lambda", DeloraLambda),
        ModuleDropout = reader.Number("module_dropout", ModuleDropout),
        LambdaPattern = reader.NumberPattern(StrengthPatternField),
        InitWeights = reader.IsTrue(InitWeightsField, InitWeights),
        BeyondPeft = reader.Texts(BeyondPeftField) ?? [],
    };
}
