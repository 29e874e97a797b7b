using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Reading, checking and writing an encoder's <c>config.json</c>.</summary>
public abstract partial record EncoderConfig
{
    private static readonly (string Name, ClassificationProblem Problem)[] s_problems =
    [
        ("single_label_classification", ClassificationProblem.SingleLabel), ("multi_label_classification", ClassificationProblem.MultiLabel),
        ("regression", ClassificationProblem.Regression),
    ];

    /// <summary>
    /// What <c>architectures</c> says where it is another head than <see cref="EncoderHead"/> has, for instance BertForMaskedLM; empty where
    /// it says nothing; null where <see cref="Head"/> is it.
    /// </summary>
    internal string? OtherArchitecture { get; init; }

    /// <summary>Reads the configuration of a folder that must hold an encoder, with whatever head.</summary>
    internal static EncoderConfig LoadEncoder(string folder, Action<string>? warn)
    {
        ModelConfig config = Load(folder, warn);
        return config as EncoderConfig
            ?? throw config.Wrong("model_type", $"'{config.ModelType}' is no encoder that is supported; {BertConfig.Family} and {RobertaConfig.Family} are.");
    }

    /// <summary>Takes the fields of a configuration file.</summary>
    /// <param name="config">The family's defaults; the vocabulary too.</param>
    /// <param name="fields">The file's.</param>
    /// <param name="file">The file's name.</param>
    /// <param name="warn">Hears of what is set and has no effect.</param>
    internal static EncoderConfig Read(EncoderConfig config, JsonFields fields, string file, Action<string> warn)
    {
        config = config with
        {
            Source = file,
            VocabSize = fields.Integer("vocab_size", config.VocabSize),
            HiddenSize = fields.Integer("hidden_size", config.HiddenSize),
            NumHiddenLayers = fields.Integer("num_hidden_layers", config.NumHiddenLayers),
            NumAttentionHeads = fields.Integer("num_attention_heads", config.NumAttentionHeads),
            IntermediateSize = fields.Integer("intermediate_size", config.IntermediateSize),
            HiddenAct = fields.Text("hidden_act", config.HiddenAct),
            HiddenDropoutProb = fields.Number("hidden_dropout_prob", config.HiddenDropoutProb),
            AttentionProbsDropoutProb = fields.Number("attention_probs_dropout_prob", config.AttentionProbsDropoutProb),
            ClassifierDropout = fields.OptionalNumber("classifier_dropout"),
            MaxPositionEmbeddings = fields.Integer("max_position_embeddings", config.MaxPositionEmbeddings),
            TypeVocabSize = fields.Integer("type_vocab_size", config.TypeVocabSize),
            LayerNormEps = fields.Number("layer_norm_eps", config.LayerNormEps),
            InitializerRange = fields.Number("initializer_range", config.InitializerRange),
            PadTokenId = fields.OptionalInteger("pad_token_id") ?? config.PadTokenId,
            BosTokenId = fields.OptionalInteger("bos_token_id") ?? config.BosTokenId,
            EosTokenIds = fields.Integers("eos_token_id") ?? config.EosTokenIds,
            Problem = ReadProblem(fields),
        };
        RefuseOthers(fields);
        (EncoderHead head, string? other) = ReadHead(config, fields);
        config = config with { Head = head, OtherArchitecture = other, Labels = ReadLabels(fields, warn) };
        config = config with { WritesDType = TakeDType(fields), AdditionalFields = config.AdditionalFields.AddRange(fields.Left) };
        config.Validate();
        return config;
    }

    internal override string? DropoutLeftOut =>
        AttentionProbsDropoutProb == 0 ? null : $"attention_probs_dropout_prob {PythonJson.Float(AttentionProbsDropoutProb)}";

    private protected override void ValidateOwnFields()
    {
        RequireSize(HiddenSize, "hidden_size", 1 << 20);
        RequireSize(NumHiddenLayers, "num_hidden_layers", 4096);
        RequireSize(NumAttentionHeads, "num_attention_heads", 1 << 14);
        RequireSize(IntermediateSize, "intermediate_size", 1 << 22);
        RequireSize(TypeVocabSize, "type_vocab_size", 1 << 16);
        RequireSize(LabelCount, "id2label", 1 << 20);
        if (HiddenSize % NumAttentionHeads != 0)
            throw Wrong("hidden_size", $"{HiddenSize} is not divisible by num_attention_heads {NumAttentionHeads}.");
        if (PadTokenId < 0 || PadTokenId >= VocabSize)
            throw Wrong("pad_token_id", $"must be from 0 to {VocabSize - 1}, below vocab_size, not {PadTokenId}.");
        if (MaxTokens < 1)
            throw Wrong("max_position_embeddings", $"{MaxPositionEmbeddings} leaves no position beside those up to pad_token_id {PadTokenId}.");
        if (!(LayerNormEps >= 0 && double.IsFinite(LayerNormEps))) throw Wrong("layer_norm_eps", "must be a finite number ≥ 0.");
        if (!(InitializerRange >= 0 && double.IsFinite(InitializerRange))) throw Wrong("initializer_range", "must be a finite number ≥ 0.");
        RequireProbability(HiddenDropoutProb, "hidden_dropout_prob");
        RequireProbability(AttentionProbsDropoutProb, "attention_probs_dropout_prob");
        RequireProbability(ClassifierDropout ?? 0, "classifier_dropout");
        if (!HiddenActivation.IsKnown(HiddenAct))
            throw Wrong("hidden_act", $"'{HiddenAct}' is not supported; {HiddenActivation.Names} are.");
        if (!Enum.IsDefined(Head)) throw Wrong("architectures", $"the head {Head} is not defined.");
        if (Problem is { } problem && !Enum.IsDefined(problem)) throw Wrong("problem_type", $"{problem} is not defined.");
    }

    private protected override void WriteOwnFields(SortedDictionary<string, object?> fields)
    {
        // Encoders have them in their tokenizers; a null would be a field that transformers does not write.
        foreach (string id in (string[])["bos_token_id", "eos_token_id"])
            if (fields[id] is null) fields.Remove(id);
        fields["hidden_size"] = HiddenSize;
        fields["num_hidden_layers"] = NumHiddenLayers;
        fields["num_attention_heads"] = NumAttentionHeads;
        fields["intermediate_size"] = IntermediateSize;
        fields["hidden_act"] = HiddenAct;
        fields["hidden_dropout_prob"] = HiddenDropoutProb;
        fields["attention_probs_dropout_prob"] = AttentionProbsDropoutProb;
        fields["classifier_dropout"] = ClassifierDropout;
        fields["type_vocab_size"] = TypeVocabSize;
        fields["layer_norm_eps"] = LayerNormEps;
        fields["initializer_range"] = InitializerRange;
        fields["pad_token_id"] = PadTokenId;
        fields["position_embedding_type"] = "absolute";
        if (Problem is { } problem) fields["problem_type"] = s_problems.First(entry => entry.Problem == problem).Name;
        // transformers writes labels where they are not its default of two.
        if (Labels.SequenceEqual(DefaultLabels(2))) return;
        fields["id2label"] = Labels.Select((label, i) => KeyValuePair.Create(i.ToString(CultureInfo.InvariantCulture), (object)label));
        fields["label2id"] = Labels.Index().DistinctBy(entry => entry.Item).OrderBy(entry => entry.Item, StringComparer.Ordinal)
            .Select(entry => KeyValuePair.Create(entry.Item, (object)entry.Index));
    }

    /// <summary>Refuses what would change results, by its name.</summary>
    private static void RefuseOthers(JsonFields fields)
    {
        string positions = fields.Text("position_embedding_type", "absolute");
        if (positions != "absolute") throw fields.Wrong("position_embedding_type", $"'{positions}' is not supported; absolute is.");
        foreach (string flag in (string[])["is_decoder", "add_cross_attention", "is_encoder_decoder"])
            if (fields.Flag(flag, false)) throw fields.Wrong(flag, "is not supported: encoders attend to the whole text, and to nothing else.");
        RefusePrunedHeads(fields);
        RefuseQuantization(fields);
    }

    private static ClassificationProblem? ReadProblem(JsonFields fields)
    {
        if (fields.Text("problem_type", null) is not { } text) return null;
        foreach ((string name, ClassificationProblem problem) in s_problems)
            if (name == text) return problem;
        throw fields.Wrong("problem_type", $"'{text}' is none of {string.Join(", ", s_problems.Select(entry => entry.Name))}.");
    }

    private static (EncoderHead Head, string? Other) ReadHead(EncoderConfig config, JsonFields fields)
    {
        if (fields.Texts("architectures") is not [{ } architecture, ..]) return (EncoderHead.None, "");
        foreach (EncoderHead head in Enum.GetValues<EncoderHead>())
            if ((config with { Head = head }).Architecture == architecture) return (head, null);
        return (EncoderHead.None, architecture);
    }

    /// <summary>The names of <c>id2label</c>, else as many default ones as <c>num_labels</c> says, else two.</summary>
    private static ImmutableArray<string> ReadLabels(JsonFields fields, Action<string> warn)
    {
        int? count = fields.OptionalInteger("num_labels");
        ImmutableArray<KeyValuePair<string, int>> ids = fields.IntegerPattern("label2id");
        if (!fields.TryTake("id2label", out JsonElement map))
        {
            const int Most = 1 << 20;
            return count is null or (>= 1 and <= Most)
                ? DefaultLabels(count ?? 2) : throw fields.Wrong("num_labels", $"must be from 1 to {Most}, not {count}.");
        }
        if (map.ValueKind != JsonValueKind.Object) throw fields.Wrong("id2label", $"must be an object, not {JsonFields.Describe(map)}.");
        var labels = new string?[map.EnumerateObject().Count()];
        foreach (JsonProperty entry in map.EnumerateObject())
        {
            string field = $"id2label[\"{entry.Name}\"]";
            if (!int.TryParse(entry.Name, NumberStyles.None, CultureInfo.InvariantCulture, out int id) || id >= labels.Length || labels[id] is not null)
                throw fields.Wrong(field, $"is not one of the {labels.Length} numbers from 0 to {labels.Length - 1}.");
            labels[id] = fields.Text(field, entry.Value);
        }
        if (labels.Length == 0) throw fields.Wrong("id2label", "has no label.");
        if (count is { } said && said != labels.Length) throw fields.Wrong("num_labels", $"is {said}, and id2label has {labels.Length} labels.");
        if (ids.Any(entry => (uint)entry.Value >= (uint)labels.Length || labels[entry.Value] != entry.Key))
            warn("label2id does not agree with id2label, which counts.");
        return [.. labels.Select(label => label!)];
    }
}
