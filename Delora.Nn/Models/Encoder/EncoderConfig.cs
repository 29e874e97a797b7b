using System.Collections.Immutable;
using System.Globalization;
using Delora.Core;

namespace Delora.Nn;

/// <summary>
/// The configuration of an encoder, BERT or RoBERTa: <c>config.json</c> with <c>"model_type": "bert"</c> or <c>"roberta"</c>. Reading and
/// writing it is in <c>EncoderConfig.Files.cs</c>.
/// </summary>
/// <remarks>
/// Source of the fields and defaults: transformers, <c>BertConfig</c>, <c>RobertaConfig</c>, <c>PretrainedConfig</c>. Dropout acts in training
/// only: that of features (<see cref="HiddenDropoutProb"/>) and in front of a classifier (<see cref="ClassifierDropout"/>) as in transformers;
/// that of attention probabilities is not applied, which a training run warns of.
/// </remarks>
public abstract partial record EncoderConfig : ModelConfig
{
    private protected EncoderConfig()
    {
        MaxPositionEmbeddings = 512;
    }

    /// <summary>What the model computes from the features; with the family it makes <see cref="ModelConfig.Architecture"/>.</summary>
    public EncoderHead Head { get; init; }

    /// <summary><c>hidden_size</c>: features of a token between the layers.</summary>
    public int HiddenSize { get; init; } = 768;

    /// <summary><c>num_hidden_layers</c>.</summary>
    public int NumHiddenLayers { get; init; } = 12;

    /// <summary><c>num_attention_heads</c>.</summary>
    public int NumAttentionHeads { get; init; } = 12;

    /// <summary><c>intermediate_size</c>: features inside the feed-forward part.</summary>
    public int IntermediateSize { get; init; } = 3072;

    /// <summary><c>hidden_act</c>: the function inside the feed-forward part, by transformers' name: gelu, gelu_new, relu, silu, tanh and others.</summary>
    public string HiddenAct { get; init; } = "gelu";

    /// <summary><c>hidden_dropout_prob</c>: dropout of the features in training.</summary>
    public double HiddenDropoutProb { get; init; } = 0.1;

    /// <summary><c>attention_probs_dropout_prob</c>: kept for other readers of the file, and not applied.</summary>
    public double AttentionProbsDropoutProb { get; init; } = 0.1;

    /// <summary><c>classifier_dropout</c>: dropout in front of a classifier in training; null: <see cref="HiddenDropoutProb"/>.</summary>
    public double? ClassifierDropout { get; init; }

    /// <summary><c>type_vocab_size</c>: token types are 0 … type_vocab_size − 1.</summary>
    public int TypeVocabSize { get; init; } = 2;

    /// <summary><c>layer_norm_eps</c>.</summary>
    public double LayerNormEps { get; init; } = 1e-12;

    /// <summary><c>initializer_range</c>: standard deviation of new weights.</summary>
    public double InitializerRange { get; init; } = 0.02;

    /// <summary><c>pad_token_id</c>: the token that fills rows up.</summary>
    public int PadTokenId { get; init; }

    /// <summary><c>id2label</c>: names of the labels, by their numbers; as many as a classifier has scores.</summary>
    public ImmutableArray<string> Labels { get; init; } = DefaultLabels(2);

    /// <summary>
    /// <c>problem_type</c>; null where the file says nothing: then it is regression for a single label, and otherwise follows from the data, as
    /// in transformers.
    /// </summary>
    public ClassificationProblem? Problem { get; init; }

    /// <summary>Whether a bare encoder has a pooler. Those of published language models often lack it.</summary>
    public bool HasPooler { get; init; } = true;

    /// <summary>The longest text in tokens, special tokens included.</summary>
    public abstract int MaxTokens { get; }

    /// <summary><c>num_labels</c>.</summary>
    public int LabelCount => Labels.Length;

    /// <inheritdoc/>
    public override string Architecture => ClassPrefix + Head switch
    {
        EncoderHead.SequenceClassification => "ForSequenceClassification",
        EncoderHead.TokenClassification => "ForTokenClassification",
        _ => "Model",
    };

    /// <summary>The family in the names of transformers' classes.</summary>
    internal abstract string ClassPrefix { get; }

    /// <summary>The name of the encoder inside a model with a head; such a model's tensors begin with it.</summary>
    internal string BasePrefix => ModelType;

    /// <summary>Whether texts are classified by the pooler's output; else a head of its own looks at the first token.</summary>
    internal abstract bool ClassifiesPooled { get; }

    /// <summary>Whether the model has a pooler: tanh(W · x + b) of the first token's features x.</summary>
    internal bool UsesPooler => Head switch
    {
        EncoderHead.SequenceClassification => ClassifiesPooled,
        EncoderHead.TokenClassification => false,
        _ => HasPooler,
    };

    /// <summary>What stands before the names of the encoder's tensors.</summary>
    internal string TensorPrefix => Head == EncoderHead.None ? "" : BasePrefix + ".";

    /// <summary>Dropout in front of a classifier, whichever way it is given.</summary>
    internal double HeadDropout => ClassifierDropout ?? HiddenDropoutProb;

    /// <summary>What the labels are: <see cref="Problem"/>, else regression for a single label, else what the data say.</summary>
    /// <param name="data">What the data hold.</param>
    /// <remarks>Source: transformers, <c>BertForSequenceClassification.forward</c>.</remarks>
    public ClassificationProblem ProblemOf(ClassificationProblem data) => Problem ?? (LabelCount == 1 ? ClassificationProblem.Regression : data);

    /// <summary>transformers' names for labels that have none: LABEL_0, LABEL_1, …</summary>
    public static ImmutableArray<string> DefaultLabels(int count) =>
        [.. Enumerable.Range(0, count).Select(i => string.Create(CultureInfo.InvariantCulture, $"LABEL_{i}"))];

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, Shape> TensorShapes()
    {
        Validate();
        string encoder = TensorPrefix;
        var shapes = new Dictionary<string, Shape>
        {
            [$"{encoder}embeddings.word_embeddings.weight"] = [VocabSize, HiddenSize],
            [$"{encoder}embeddings.position_embeddings.weight"] = [MaxPositionEmbeddings, HiddenSize],
            [$"{encoder}embeddings.token_type_embeddings.weight"] = [TypeVocabSize, HiddenSize],
        };
        AddNorm($"{encoder}embeddings.LayerNorm");
        for (int i = 0; i < NumHiddenLayers; i++)
        {
            string layer = string.Create(CultureInfo.InvariantCulture, $"{encoder}encoder.layer.{i}");
            AddLinear($"{layer}.attention.self.query", HiddenSize, HiddenSize);
            AddLinear($"{layer}.attention.self.key", HiddenSize, HiddenSize);
            AddLinear($"{layer}.attention.self.value", HiddenSize, HiddenSize);
            AddLinear($"{layer}.attention.output.dense", HiddenSize, HiddenSize);
            AddNorm($"{layer}.attention.output.LayerNorm");
            AddLinear($"{layer}.intermediate.dense", IntermediateSize, HiddenSize);
            AddLinear($"{layer}.output.dense", HiddenSize, IntermediateSize);
            AddNorm($"{layer}.output.LayerNorm");
        }
        if (UsesPooler) AddLinear($"{encoder}pooler.dense", HiddenSize, HiddenSize);
        if (Head == EncoderHead.SequenceClassification && !ClassifiesPooled)
        {
            AddLinear("classifier.dense", HiddenSize, HiddenSize);
            AddLinear("classifier.out_proj", LabelCount, HiddenSize);
        }
        else if (Head != EncoderHead.None)
        {
            AddLinear("classifier", LabelCount, HiddenSize);
        }
        return shapes;

        void AddLinear(string name, int @out, int @in)
        {
            shapes[$"{name}.weight"] = [@out, @in];
            shapes[$"{name}.bias"] = [@out];
        }

        void AddNorm(string name)
        {
            shapes[$"{name}.weight"] = [HiddenSize];
            shapes[$"{name}.bias"] = [HiddenSize];
        }
    }

    /// <summary>The row of the position table for every token of a batch.</summary>
    internal abstract int[] Positions(EncodedBatch batch);
}

/// <summary>BERT's configuration (Devlin et al., arXiv 1810.04805); transformers, <c>BertConfig</c>.</summary>
public sealed record BertConfig : EncoderConfig
{
    /// <summary>The family's <c>model_type</c>.</summary>
    public const string Family = "bert";

    /// <inheritdoc/>
    public override string ModelType => Family;

    /// <inheritdoc/>
    public override int MaxTokens => MaxPositionEmbeddings;

    internal override string ClassPrefix => "Bert";

    internal override bool ClassifiesPooled => true;

    /// <summary>0, 1, 2, … in every row, padding included.</summary>
    internal override int[] Positions(EncodedBatch batch) => [.. Enumerable.Range(0, batch.Ids.Length).Select(i => i % batch.Length)];
}

/// <summary>RoBERTa's configuration (Liu et al., arXiv 1907.11692); transformers, <c>RobertaConfig</c>.</summary>
public sealed record RobertaConfig : EncoderConfig
{
    /// <summary>The family's <c>model_type</c>.</summary>
    public const string Family = "roberta";

    /// <summary>A configuration with RoBERTa's own defaults.</summary>
    public RobertaConfig()
    {
        PadTokenId = 1;
        BosTokenId = 0;
        EosTokenIds = [2];
    }

    /// <inheritdoc/>
    public override string ModelType => Family;

    /// <summary>Positions are counted from pad_token_id + 1, so the table holds that many tokens less.</summary>
    public override int MaxTokens => MaxPositionEmbeddings - PadTokenId - 1;

    internal override string ClassPrefix => "Roberta";

    internal override bool ClassifiesPooled => false;

    /// <summary>
    /// pad_token_id + 1, + 2, … over the tokens of a row that are not the padding token, which has the position pad_token_id itself; the
    /// attention mask plays no part in it.
    /// </summary>
    /// <remarks>Source: transformers, <c>create_position_ids_from_input_ids</c>.</remarks>
    internal override int[] Positions(EncodedBatch batch)
    {
        var positions = new int[batch.Ids.Length];
        int count = 0;
        for (int i = 0; i < positions.Length; i++)
        {
            if (i % batch.Length == 0) count = 0;
            positions[i] = batch.Ids[i] == PadTokenId ? PadTokenId : PadTokenId + ++count;
        }
        return positions;
    }
}
