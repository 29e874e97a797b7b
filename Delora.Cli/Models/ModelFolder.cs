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

    /// <summary>Loads the weights of a classifier of texts.</summary>
    /// <exception cref="InputException">The model is none.</exception>
    /// <exception cref="DeloraFormatException">A file is missing or wrong.</exception>
    public SequenceClassifier LoadClassifier(Device device, FrozenWeightOptions? frozen = null)
    {
        RequireClassifier();
        return (SequenceClassifier)PretrainedModel.Load(Path, device, _console.Warn, frozen: frozen);
    }

    /// <summary>Refuses a model that is no classifier of texts.</summary>
    /// <exception cref="InputException">It is none.</exception>
    public void RequireClassifier()
    {
        if (Config is not EncoderConfig { Head: EncoderHead.SequenceClassification })
        {
            throw new InputException(
                $"{Path}: a classifier of texts is wanted (BertForSequenceClassification, RobertaForSequenceClassification), not a "
                + $"{Config.Architecture}; delora add-head makes one of an encoder");
        }
    }

    /// <summary>Puts an adapter on the model.</summary>
    /// <exception cref="DeloraFormatException">It is missing, wrong, or does not fit.</exception>
    public PeftModel Adapt(PretrainedModel model, string adapter)
    {
        PeftModel peft = new(model);
        try
        {
            peft.Load(adapter, warn: _console.Warn);
            return peft;
        }
        catch
        {
            peft.Dispose();
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
    /// <exception cref="DeloraFormatException">It cannot be read, or there is nothing to learn from it.</exception>
    /// <exception cref="InputException">The tokenizer makes tokens of it that the model does not know.</exception>
    public TokenRows Rows(string file, int length)
    {
        TokenRows rows = TextData.Load(file, Tokenizer, length, _console.Warn);
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
            throw new InputException($"{Path}: {e.Message.ReplaceLineEndings(" ")}", e);
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
        CultureInfo.InvariantCulture, $"{file}, {rows.Count:N0} rows of {rows.Length:N0}, {rows.TargetCount:N0} tokens to predict");

    /// <inheritdoc cref="Describe(string, TokenRows)"/>
    public static string Describe(string file, ClassificationRows rows) => string.Create(
        CultureInfo.InvariantCulture, $"{file}, {rows.Count:N0} texts of up to {rows.Longest:N0} tokens");

    /// <summary>Whether two paths lead to one folder.</summary>
    public static bool IsSame(string one, string other)
    {
        return RealPath(one) == RealPath(other);

        static string RealPath(string path)
        {
            string full = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));
            return Directory.Exists(full) ? new DirectoryInfo(full).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? full : full;
        }
    }
}
