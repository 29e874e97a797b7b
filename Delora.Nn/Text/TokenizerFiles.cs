using System.Globalization;
using System.Text.Json;
using Delora.Core;

namespace Delora.Nn;

/// <summary>The files of a model folder that belong to its tokenizer, as they were read.</summary>
internal sealed class TokenizerFiles
{
    public const string SentencePiece = "tokenizer.model", Json = "tokenizer.json", Config = "tokenizer_config.json",
        Added = "added_tokens.json", Map = "special_tokens_map.json", Vocabulary = "vocab.json", Merges = "merges.txt", Words = "vocab.txt";

    /// <summary>The largest vocabularies there are stay below it.</summary>
    private const int MaxBytes = 64 << 20;

    /// <summary>All files that a tokenizer may consist of.</summary>
    public static IReadOnlyList<string> Names { get; } = [SentencePiece, Json, Config, Added, Map, Vocabulary, Merges, Words];

    private readonly string _folder;
    private readonly Dictionary<string, byte[]> _files;

    private TokenizerFiles(string folder, Dictionary<string, byte[]> files)
    {
        _folder = folder;
        _files = files;
    }

    public IReadOnlyDictionary<string, byte[]> All => _files;

    /// <exception cref="DeloraFormatException">There is no tokenizer, or a file can't be read.</exception>
    public static TokenizerFiles Read(string folder)
    {
        if (!Directory.Exists(folder)) throw new DeloraFormatException(folder, null, "there is no such folder.");
        Dictionary<string, byte[]> files = [];
        foreach (string name in Names)
            if (Path.Exists(Path.Combine(folder, name)))
                files.Add(name, RegularFile.ReadAll(Path.Combine(folder, name), MaxBytes));
        bool pair = files.ContainsKey(Vocabulary) && files.ContainsKey(Merges);
        if (files.ContainsKey(Json) || files.ContainsKey(SentencePiece) || pair || files.ContainsKey(Words))
        {
            // One without the other is no tokenizer, and not read.
            if (!pair) files.Remove(Merges);
            return new TokenizerFiles(folder, files);
        }
        throw new DeloraFormatException(folder, null,
            $"holds no tokenizer: neither {Json}, nor {SentencePiece} (SentencePiece), nor {Vocabulary} with {Merges} (byte-level BPE), nor "
            + $"{Words} (WordPiece).");
    }

    /// <exception cref="DeloraException">The system refused.</exception>
    public static void Write(string folder, IReadOnlyDictionary<string, byte[]> files)
    {
        FolderFile.Make(folder);
        foreach ((string name, byte[] bytes) in files)
            AtomicFile.Write(Path.Combine(folder, name), stream => stream.Write(bytes));
        foreach (string name in Names.Where(name => !files.ContainsKey(name)))
            Delete(Path.Combine(folder, name));
    }

    public bool Has(string name) => _files.ContainsKey(name);

    public byte[] Bytes(string name) => _files[name];

    public string PathOf(string name) => Path.Combine(_folder, name);

    /// <summary>A JSON file; null where it is absent.</summary>
    public JsonFields? Fields(string name) => Has(name) ? JsonFields.Parse(_files[name], PathOf(name)) : null;

    /// <summary>Tokens that other libraries add to a vocabulary are not known here: the model may have rows for them.</summary>
    /// <param name="count">Tokens of the vocabulary.</param>
    /// <param name="warn">Is told of them.</param>
    public void WarnOfAddedTokens(int count, Action<string>? warn)
    {
        if (Fields(Config)?.Object("added_tokens_decoder") is { } decoder)
            Warn(Config, decoder.Left.Keys.Where(id => !int.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out int number) || number >= count));
        if (Fields(Added) is { } added)
            Warn(Added, added.Left.Keys.ToArray().Select(name => added.Integer(name, -1)).Where(id => id >= count).Select(id => $"{id}"));

        void Warn(string file, IEnumerable<string> ids)
        {
            string[] unknown = [.. ids];
            if (unknown.Length > 0)
                warn?.Invoke($"{PathOf(file)}: added tokens beyond the vocabulary are ignored: ids {string.Join(", ", unknown.Take(10))}.");
        }
    }

    /// <summary>The text of a token in <c>tokenizer_config.json</c>: itself, or the content of an object.</summary>
    public static string? TokenName(JsonFields config, string field)
    {
        if (config.Left.TryGetValue(field, out JsonElement value) && value.ValueKind == JsonValueKind.Object)
        {
            JsonFields token = config.Object(field)!;
            return token.Text("content", null) ?? throw token.Wrong("content", "is missing.");
        }
        return config.Text(field, null);
    }

    private static void Delete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new DeloraException($"{path}: another tokenizer's file could not be deleted: {error.Message}", error);
        }
    }
}
