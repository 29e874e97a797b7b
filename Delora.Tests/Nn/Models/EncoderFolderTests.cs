using System.Text.Json.Nodes;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Tests.Nn.Models;

/// <summary>Encoder folders: under every name that is in use they are read, and what is wrong is refused by name.</summary>
public sealed class EncoderFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string, EncoderHead> Models =>
        [.. from family in (string[])[BertConfig.Family, RobertaConfig.Family] from head in Enum.GetValues<EncoderHead>() select (family, head)];

    private string Folder => _folder.Path;

    public void Dispose() => _folder.Dispose();

    [Theory, MemberData(nameof(Models))]
    public void AModelComesBackBitByBit(string family, EncoderHead head)
    {
        EncoderConfig config = TinyEncoder.Config(family, head) with { Labels = ["no", "yes", "perhaps"], Problem = ClassificationProblem.SingleLabel };
        using EncoderModel model = Create(config);
        model.Save(Folder);
        WeightWriter.Write(Folder, [.. model.NamedState()], maxShardBytes: 8000);
        Assert.True(File.Exists(_folder.File(WeightFiles.IndexName)));
        using PretrainedModel loaded = PretrainedModel.Load(Folder, Devices.Cpu, strict: true);
        Assert.IsType(model.GetType(), loaded);
        Assert.Equal(config.ToJson(), loaded.Config.ToJson());
        Assert.Equal(["no", "yes", "perhaps"], ((EncoderConfig)loaded.Config).Labels);
        Assert.Equal(State(model), State(loaded));
        Assert.Equal(config.TensorShapes().Keys, loaded.NamedState().Select(entry => entry.Name));
        Assert.All(loaded.NamedParameters(), entry => Assert.False(entry.Parameter.RequiresGradient));
        var error = Assert.Throws<DeloraFormatException>(() => CausalLanguageModel.Load(Folder, Devices.Cpu));
        Assert.Contains($"'{family}' is no language model", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheNamesOfPublishedFilesAreRead()
    {
        using EncoderModel model = Create(TinyEncoder.Config(BertConfig.Family, EncoderHead.None));
        model.Save(Folder);
        Rewrite(
            name => name.Replace("LayerNorm.weight", "LayerNorm.gamma", StringComparison.Ordinal)
                .Replace("LayerNorm.bias", "LayerNorm.beta", StringComparison.Ordinal),
            ("embeddings.position_ids", [1, 20]));
        using (PretrainedModel loaded = PretrainedModel.Load(Folder, Devices.Cpu)) Assert.Equal(State(model), State(loaded));

        // A masked language model, as most encoders are published: with a head of its own, and the encoder's name in front.
        Edit(config => config["architectures"] = new JsonArray("BertForMaskedLM"));
        Rewrite(name => "bert." + name, ("cls.predictions.bias", [41]));
        Assert.Contains("'BertForMaskedLM' is no encoder that is supported", Refused(), StringComparison.Ordinal);
        List<string> warnings = [];
        using (TextEncoder loaded = TextEncoder.Load(Folder, Devices.Cpu, warnings.Add)) Assert.Equal(State(model), State(loaded));
        Assert.Contains(warnings, warning => warning.Contains("not used: cls.predictions.bias", StringComparison.Ordinal));
        using (SequenceClassifier fresh = SequenceClassifier.FromEncoder(Folder, Devices.Cpu, ["a", "b"], new Generator(1), warn: warnings.Add))
        {
            Dictionary<string, float[]> state = State(fresh);
            foreach ((string name, float[] values) in State(model)) Assert.Equal(values, state["bert." + name]);
            Assert.Equal(48, state["classifier.weight"].Length);
            Assert.Equal(["a", "b"], fresh.Config.Labels);
        }
        Assert.Contains(warnings, warning => warning.Contains("new, to be trained: classifier.weight, classifier.bias", StringComparison.Ordinal));

        Rewrite(name => name, ("bert.embeddings.LayerNorm.gamma", [24]), ("bert.embeddings.LayerNorm.weight", [24]));
        var error = Assert.Throws<DeloraFormatException>(() => TextEncoder.Load(Folder, Devices.Cpu));
        Assert.Contains("under another name", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AnEncoderWithoutPoolerGetsOneWithTheNewHead()
    {
        using EncoderModel model = Create(TinyEncoder.Config(BertConfig.Family, EncoderHead.TokenClassification));
        model.Save(Folder);
        List<string> warnings = [];
        using SequenceClassifier fresh = SequenceClassifier.FromEncoder(Folder, Devices.Cpu, ["a", "b"], new Generator(1), warn: warnings.Add);
        Assert.Contains(warnings, warning => warning.Contains("bert.pooler.dense.weight", StringComparison.Ordinal));
        Assert.NotEqual(State(model)["classifier.weight"].Length, State(fresh)["classifier.weight"].Length);
        using TextEncoder bare = TextEncoder.Load(Folder, Devices.Cpu);
        Assert.False(bare.Config.HasPooler);
        bare.Save(_folder.File("bare"));
        using TextEncoder again = TextEncoder.Load(_folder.File("bare"), Devices.Cpu);
        Assert.Equal(State(bare), State(again));
        Assert.Throws<DeloraFormatException>(() => SequenceClassifier.FromEncoder(Folder, Devices.Cpu, [], new Generator(1)));
    }

    [Fact]
    public void HalfAPoolerIsRefused()
    {
        using (EncoderModel model = Create(TinyEncoder.Config(BertConfig.Family, EncoderHead.None))) model.Save(Folder);
        Rewrite(name => name == "pooler.dense.bias" ? "cls.bias" : name);
        string message = Assert.Throws<DeloraFormatException>(() => TextEncoder.Load(Folder, Devices.Cpu)).Message;
        Assert.Contains("pooler.dense.bias: is missing", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("hidden_act", "\"mish\"", "'mish' is not supported; gelu")]
    [InlineData("position_embedding_type", "\"relative_key\"", "'relative_key' is not supported; absolute is")]
    [InlineData("is_decoder", "true", "is_decoder: is not supported")]
    [InlineData("add_cross_attention", "true", "add_cross_attention: is not supported")]
    [InlineData("pruned_heads", "{\"1\": [0]}", "pruned_heads: is not supported")]
    [InlineData("num_attention_heads", "5", "not divisible by num_attention_heads 5")]
    [InlineData("num_hidden_layers", "1000000000", "num_hidden_layers: must be from 1 to")]
    [InlineData("num_hidden_layers", "3", "missing bert.encoder.layer.2.")]
    [InlineData("type_vocab_size", "3", "token_type_embeddings.weight has the shape [2, 24] instead of [3, 24]")]
    [InlineData("pad_token_id", "41", "pad_token_id: must be from 0 to 40")]
    [InlineData("hidden_dropout_prob", "1.0", "hidden_dropout_prob: must be at least 0 and below 1")]
    [InlineData("classifier_dropout", "-0.5", "classifier_dropout")]
    [InlineData("layer_norm_eps", "1e999", "layer_norm_eps")]
    [InlineData("problem_type", "\"ranking\"", "'ranking' is none of single_label_classification, multi_label_classification, regression")]
    [InlineData("id2label", "{\"0\": \"a\", \"2\": \"b\"}", "id2label[\"2\"]: is not one of the 2 numbers from 0 to 1")]
    [InlineData("id2label", "{\"0\": \"a\"}", "classifier.weight has the shape [3, 24] instead of [1, 24]")]
    [InlineData("id2label", "{}", "id2label: has no label")]
    [InlineData("num_labels", "0", "num_labels: is 0, and")]
    [InlineData("num_labels", "2", "num_labels: is 2, and id2label has 3 labels")]
    [InlineData("quantization_config", "{\"bits\": 4}", "quantised weights are not supported")]
    [InlineData("architectures", "null", "architectures: nothing is no encoder")]
    [InlineData("architectures", "[\"BertForQuestionAnswering\"]", "BertForSequenceClassification, BertForTokenClassification are")]
    public void AWrongFieldIsNamed(string field, string value, string expected)
    {
        using (EncoderModel model = Create(TinyEncoder.Config(BertConfig.Family) with { Labels = ["x", "y", "z"] })) model.Save(Folder);
        Edit(config => config[field] = JsonNode.Parse(value));
        Assert.Contains(expected, Refused(), StringComparison.Ordinal);
    }

    [Fact]
    public void TheFamiliesDefaultsCountWhereAFieldIsAbsent()
    {
        _folder.Write("config.json", """{"model_type": "roberta", "architectures": ["RobertaModel"], "label2id": {"x": 1}, "num_labels": 4}""");
        List<string> warnings = [];
        var config = (EncoderConfig)ModelConfig.Load(Folder, warnings.Add);
        Assert.Equal((50265, 768, 12, 512, 1, 0, 1e-12, 4), (config.VocabSize, config.HiddenSize, config.NumAttentionHeads, config.MaxPositionEmbeddings,
            config.PadTokenId, config.BosTokenId, config.LayerNormEps, config.LabelCount));
        Assert.Equal("attention_probs_dropout_prob 0.1", config.DropoutLeftOut);
        _folder.Write("config.json", """{"model_type": "bert", "id2label": {"0": "a", "1": "b"}, "label2id": {"a": 1, "b": 0}, "x": [1]}""");
        config = (EncoderConfig)ModelConfig.Load(Folder, warnings.Add);
        Assert.Contains(warnings, warning => warning.Contains("label2id does not agree with id2label", StringComparison.Ordinal));
        Assert.Equal((30522, 2, 0), (config.VocabSize, config.TypeVocabSize, config.PadTokenId));
        JsonNode written = JsonNode.Parse(config.ToJson())!;
        Assert.Equal((1, "[1]"), ((int)written["label2id"]!["b"]!, written["x"]!.ToJsonString()));
        Assert.False(written.AsObject().ContainsKey("bos_token_id"));
        foreach (int count in (int[])[0, (1 << 20) + 1])
        {
            _folder.Write("config.json", $"{{\"model_type\": \"bert\", \"num_labels\": {count}}}");
            Assert.Contains($"num_labels: must be from 1 to 1048576, not {count}",
                Assert.Throws<DeloraFormatException>(() => ModelConfig.Load(Folder)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void SettingsOfEmbeddingsAreReadOrRefusedByName()
    {
        Assert.Equal(new EmbeddingSettings(Pooling.Mean, null), EmbeddingSettings.Load(Folder));
        _folder.Write("modules.json", "\uFEFF[{\"type\": \"sentence_transformers.models.Transformer\"},"
            + "{\"path\": \"1_Pooling\", \"type\": \"sentence_transformers.models.Pooling\"}]");
        _folder.Write("sentence_bert_config.json", "{\"max_seq_length\": 9, \"do_lower_case\": false}");
        Pool("true", "false");
        Assert.Equal(new EmbeddingSettings(Pooling.Cls, 9), EmbeddingSettings.Load(Folder));
        Pool("false", "true");
        Assert.Equal(Pooling.Mean, EmbeddingSettings.Load(Folder).Pooling);
        Pool("true", "true");
        Refuse("asks for two poolings at once");
        Pool("false", "false");
        Refuse("asks for no pooling");
        Pool("false", "false, \"pooling_mode_max_tokens\": true");
        Refuse("pooling_mode_max_tokens: is not supported");
        _folder.Write("sentence_bert_config.json", "{\"max_seq_length\": 0}");
        Pool("true", "false");
        Refuse("max_seq_length: must be at least 1");
        _folder.Write("sentence_bert_config.json", "{\"max_seq_length\": 9, \"do_lower_case\": true}");
        Refuse("do_lower_case: true is not supported");
        _folder.Write("modules.json", "[{\"path\": \"0_Transformer\", \"type\": \"sentence_transformers.models.Transformer\"}]");
        Refuse("'0_Transformer' is not supported for the Transformer");
        _folder.Write("modules.json", "[{\"path\": \"2_Dense\", \"type\": \"sentence_transformers.models.Dense\"}]");
        Refuse("'Dense' is not supported");
        _folder.Write("modules.json", "[{\"path\": \"../1_Pooling\", \"type\": \"sentence_transformers.models.Pooling\"}]");
        Refuse("is not the plain name");
        _folder.Write("modules.json", "[{\"path\": \"\"}]");
        Refuse("type: is missing");
        _folder.Write("modules.json", "{}");
        Refuse("is no list of modules");

        void Pool(string cls, string mean) =>
            _folder.Write("1_Pooling/config.json", $"{{\"pooling_mode_cls_token\": {cls}, \"pooling_mode_mean_tokens\": {mean}}}");

        void Refuse(string reason) =>
            Assert.Contains(reason, Assert.Throws<DeloraFormatException>(() => EmbeddingSettings.Load(Folder)).Message, StringComparison.Ordinal);
    }

    private static EncoderModel Create(EncoderConfig config) => config.Head switch
    {
        EncoderHead.SequenceClassification => SequenceClassifier.Create(config, Devices.Cpu, new Generator(7)),
        EncoderHead.TokenClassification => TokenClassifier.Create(config, Devices.Cpu, new Generator(7)),
        _ => TextEncoder.Create(config, Devices.Cpu, new Generator(7)),
    };

    private static Dictionary<string, float[]> State(PretrainedModel model)
    {
        using var scope = new TensorScope("state");
        return model.NamedState().ToDictionary(entry => entry.Name, entry => entry.State.Read().ToArray<float>());
    }

    /// <summary>Writes the weights again under other names, with more tensors of zeros.</summary>
    private void Rewrite(Func<string, string> rename, params (string Name, Shape Shape)[] more)
    {
        using var scope = new TensorScope("rewrite");
        List<KeyValuePair<string, Tensor>> tensors;
        string path = _folder.File(WeightFiles.SingleName);
        using (SafetensorsFile file = SafetensorsFile.Open(path))
            tensors = [.. file.Entries.Where(entry => !entry.Name.EndsWith("position_ids", StringComparison.Ordinal) && more.All(m => m.Name != entry.Name))
                .Select(entry => KeyValuePair.Create(rename(entry.Name), file.ReadFloat(entry.Name, Devices.Cpu)))];
        tensors.AddRange(more.Select(entry => KeyValuePair.Create(entry.Name, Tensor.Zeros(entry.Shape, DType.Float32, Devices.Cpu))));
        SafetensorsFile.Write(path, tensors);
    }

    private void Edit(Action<JsonObject> edit)
    {
        JsonObject config = JsonNode.Parse(File.ReadAllText(_folder.File(ModelConfig.FileName)))!.AsObject();
        edit(config);
        _folder.Write(ModelConfig.FileName, config.ToJsonString());
    }

    private string Refused() => Assert.Throws<DeloraFormatException>(() => PretrainedModel.Load(Folder, Devices.Cpu)).Message;
}
