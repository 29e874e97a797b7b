using System.Globalization;
using Delora.Core;
using Delora.Kernels;
using Delora.Nn;

namespace Delora.Cli;

/// <summary>
/// A model folder that a user named. Configuration and tokenizer are read at once; the weights only when all else is known to be good.
/// </summary>
internal sealed class ModelFolder
{
    private readonly CliConsole _console;

    private ModelFolder(CliConsole console, string path, ModelConfig config, TextTokenizer tokenizer) =>
        (_console, Path, Config, Tokenizer) = (console, path, config, tokenizer);

    /// <summary>The folder as the user wrote it.</summary>
    public string Path { get; }

    public ModelConfig Config { get; }

    public TextTokenizer Tokenizer { get; }

    /// <summary>What the model is, in words.</summary>
    public string Description => Describe(Config);

    /// <summary>Reads configuration and tokenizer.</summary>
    /// <exception cref="DeloraFormatException">There is no such folder, or one of its files is missing or wrong.</exception>
    public static ModelFolder Open(CliConsole console, string path) =>
        // What the configuration warns of is said when the weights are loaded.
        new(console, path, ModelConfig.Load(path), TextTokenizer.Load(path, console.Warn));

    /// <summary>What a configuration stands for, in words.</summary>
    public static string Describe(ModelConfig config) => string.Create(
        CultureInfo.InvariantCulture,
        $"{config.ModelType}, {config.ParameterCount:N0} parameters, vocabulary {config.VocabSize:N0}, context {ContextOf(config):N0}");

    /// <summary>Loads the weights.</summary>
    /// <param name="device">Where to.</param>
    /// <param name="frozen">How linear layers keep them.</param>
    /// <exception cref="DeloraFormatException">A file is missing or wrong.</exception>
    /// <exception cref="NonFiniteException">A weight cannot be kept so.</exception>
    public CausalLanguageModel Load(Device device, FrozenWeightOptions frozen) =>
        CausalLanguageModel.Load(Path, device, _console.Warn, frozen: frozen);

    /// <summary>How a model's linear layers are kept, in words.</summary>
    public static string Describe(FrozenWeightReport report)
    {
        string error = report.Error.Largest == 0 ? "exact" : string.Create(CultureInfo.InvariantCulture, $"relative error {report.Error.Relative:G3}");
        return $"{report.Storages} layers, {Printable.Bytes(report.ByteLength)}, {error}; other weights {Printable.Bytes(report.ParameterLength)}";
    }

    /// <summary>Loads the weights of a classifier of texts or of tokens.</summary>
    /// <exception cref="InputException">The model is none.</exception>
    /// <exception cref="DeloraFormatException">A file is missing or wrong.</exception>
    public EncoderModel LoadClassifier(Device device, FrozenWeightOptions? frozen = null)
    {
        RequireClassifier();
        return (EncoderModel)PretrainedModel.Load(Path, device, _console.Warn, frozen: frozen);
    }

    /// <summary>Refuses a model that is no classifier of texts or of tokens.</summary>
    /// <exception cref="InputException">It is none.</exception>
    public void RequireClassifier()
    {
        if (!IsClassifier)
        {
            throw new InputException(
                $"{Path}: a classifier is wanted (Bert- or RobertaForSequenceClassification, …ForTokenClassification), not a "
                + $"{Config.Architecture}; delora add-head makes one of an encoder");
        }
    }

    /// <summary>
    /// Loads the encoder for embeddings. A head is left out, except where an adapter was trained on the whole model: then its tensors are called so.
    /// </summary>
    /// <exception cref="DeloraFormatException">The model is no encoder, or a file is missing or wrong.</exception>
    public EncoderModel LoadEncoder(Device device, FrozenWeightOptions frozen, IReadOnlyList<string> adapters) =>
        IsClassifier && adapters.Any(IsOfClassifier)
            ? LoadClassifier(device, frozen)
            : TextEncoder.Load(Path, device, _console.Warn, frozen: frozen);

    private static bool IsOfClassifier(string adapter) =>
        AdapterConfig.Load(System.IO.Path.Combine(adapter, AdapterConfig.FileName)).TaskType is "SEQ_CLS" or "TOKEN_CLS";

    /// <summary>Whether the model is an encoder with a head.</summary>
    public bool IsClassifier => Config is EncoderConfig { Head: not EncoderHead.None };

    /// <summary>Whether the head labels tokens rather than whole texts.</summary>
    public bool LabelsTokens => Config is EncoderConfig { Head: EncoderHead.TokenClassification };

    /// <summary>Puts adapters on the model, all of which act: their updates add up.</summary>
    /// <exception cref="DeloraFormatException">One is missing, wrong, or does not fit.</exception>
    /// <exception cref="InputException">Two train the same whole module.</exception>
    public PeftModel Adapt(PretrainedModel model, IReadOnlyList<string> adapters) => Adapt(_console, model, adapters, strict: false);

    /// <inheritdoc cref="Adapt(PretrainedModel, IReadOnlyList{string})"/>
    /// <param name="console">Hears of what is ignored.</param>
    /// <param name="model">The model.</param>
    /// <param name="adapters">Folders.</param>
    /// <param name="strict">Whether NaN or infinity in an adapter is an error.</param>
    public static PeftModel Adapt(CliConsole console, PretrainedModel model, IReadOnlyList<string> adapters, bool strict)
    {
        PeftModel peft = new(model);
        try
        {
            string[] names = [.. adapters.Select((_, i) => i == 0 ? PeftModel.DefaultAdapter : string.Create(CultureInfo.InvariantCulture, $"adapter{i + 1}"))];
            foreach ((string folder, string name) in adapters.Zip(names))
                peft.Load(folder, name, warn: console.Warn, strict: strict);
            peft.Activate(names);
            return peft;
        }
        catch (Exception e)
        {
            peft.Dispose();
            if (e is ArgumentException)
                throw new InputException(
                    $"--adapter {string.Join(" --adapter ", adapters)}: two of them train the same module as a whole (modules_to_save), as adapters of "
                    + "classifiers do; only one of these can act", e);
            throw;
        }
    }

    /// <summary>Positions of a row: what the user asked for, else the usual, which the model's folder may say.</summary>
    /// <exception cref="InputException">It is more than the model's context.</exception>
    public int LengthOf(int? asked, int? usual = null)
    {
        int context = ContextOf(Config);
        return asked > context
            ? throw new InputException($"--length {asked}: the model's context holds {context} tokens")
            : asked ?? Math.Min(usual ?? ModelOptions.UsualLength, context);
    }

    /// <summary>Reads a text file as rows for this model.</summary>
    /// <param name="file">The file.</param>
    /// <param name="length">Positions in a row.</param>
    /// <param name="specialTokens">Whether names of special tokens in the text are these tokens.</param>
    /// <exception cref="DeloraFormatException">It cannot be read, or there is nothing to learn from it.</exception>
    /// <exception cref="InputException">The tokenizer makes tokens of it that the model does not know.</exception>
    public TokenRows Rows(string file, int length, bool specialTokens = false)
    {
        TokenRows rows = TextData.Load(file, Tokenizer, length, _console.Warn, specialTokens);
        CheckLargest(rows.LargestId);
        return rows;
    }

    /// <summary>Reads labelled texts for this model, which is an encoder.</summary>
    /// <exception cref="DeloraFormatException">The file cannot be read, or a line is wrong.</exception>
    /// <exception cref="InputException">The tokenizer makes tokens of it that the model does not know, or cannot make what is asked for.</exception>
    public ClassificationRows LabelledRows(string file, int length)
    {
        ClassificationRows rows = Encoded(() => ClassificationData.Load(file, Tokenizer, (EncoderConfig)Config, length, _console.Warn));
        CheckLargest(rows.LargestId);
        return rows;
    }

    /// <summary>Reads texts whose words have labels for this model, which is a classifier of tokens.</summary>
    /// <inheritdoc cref="LabelledRows"/>
    public TokenClassificationRows LabelledWords(string file, int length)
    {
        TokenClassificationRows rows = Encoded(() => TokenClassificationData.Load(file, Tokenizer, (EncoderConfig)Config, length, _console.Warn));
        CheckLargest(rows.LargestId);
        return rows;
    }

    /// <summary>Words as this model, which is an encoder, takes them.</summary>
    /// <exception cref="InputException">The tokenizer makes tokens of them that the model does not know, or cannot make what is asked for.</exception>
    public WordEncoding EncodeWords(IReadOnlyList<string> words, int length)
    {
        WordEncoding encoded = Encoded(() => Tokenizer.EncodeWordsForModel(words, length));
        CheckLargest(encoded.Text.Ids.DefaultIfEmpty().Max());
        return encoded;
    }

    /// <summary>Texts as this model, which is an encoder, takes them at once.</summary>
    /// <exception cref="InputException">A text has no token, or one that the model does not know.</exception>
    public EncodedBatch Encode(IEnumerable<(string Text, string? Pair)> texts, int length)
    {
        EncodedText[] encoded = [.. texts.Select(text =>
        {
            (int[] ids, int[] types) = Encoded(() => Tokenizer.EncodeForModel(text.Text, text.Pair, length));
            return ids.Length > 0 ? new EncodedText(ids, types) : throw new InputException("a text has no token: it is empty");
        })];
        CheckLargest(encoded.Max(text => text.Ids.Max()));
        return EncodedBatch.Pad(encoded, ((EncoderConfig)Config).PadTokenId);
    }

    /// <summary>What a tokenizer cannot do about texts is the user's to know.</summary>
    private T Encoded<T>(Func<T> encode)
    {
        try
        {
            return encode();
        }
        catch (ArgumentOutOfRangeException e) when (e.ParamName == "maxLength")
        {
            throw new InputException($"--length {e.ActualValue}: the special tokens that {Path} puts around a text are more than that", e);
        }
    }

    /// <summary>The longest sequence in tokens; RoBERTa has more rows of positions than that.</summary>
    private static int ContextOf(ModelConfig config) => (config as EncoderConfig)?.MaxTokens ?? config.MaxPositionEmbeddings;

    private void CheckLargest(int id)
    {
        if (id >= Config.VocabSize)
        {
            throw new InputException(
                $"{Path}: the tokenizer ({Tokenizer.Description}) gives the id {id}; the model's vocabulary has "
                + $"{Config.VocabSize}: they do not belong together");
        }
    }

    /// <summary>What rows hold, in words.</summary>
    public static string Describe(string file, TokenRows rows) => string.Create(
        CultureInfo.InvariantCulture,
        $"{file}, {rows.Count:N0} rows of {(rows is TokenExamples ? "up to " : "")}{rows.Length:N0}, {rows.TargetCount:N0} tokens to predict");

    /// <inheritdoc cref="Describe(string, TokenRows)"/>
    public static string Describe(string file, ClassificationRows rows) => string.Create(
        CultureInfo.InvariantCulture, $"{file}, {rows.Count:N0} texts of up to {rows.Longest:N0} tokens");

    /// <inheritdoc cref="Describe(string, TokenRows)"/>
    public static string Describe(string file, TokenClassificationRows rows) => string.Create(
        CultureInfo.InvariantCulture, $"{file}, {rows.Count:N0} texts of up to {rows.Longest:N0} tokens, {rows.Words:N0} words with labels");

    /// <summary>Whether two paths lead to one folder. Where file systems usually take no account of case, neither does this.</summary>
    public static bool IsSame(string one, string other)
    {
        bool ignoresCase = OperatingSystem.IsWindows() || OperatingSystem.IsMacOS();
        return string.Equals(RealPath(one), RealPath(other), ignoresCase ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal);

        static string RealPath(string path)
        {
            string full = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));
            return Directory.Exists(full) ? new DirectoryInfo(full).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? full : full;
        }
    }
}
