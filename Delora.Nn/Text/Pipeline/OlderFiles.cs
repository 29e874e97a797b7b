using System.Text.Json;
using Delora.Core;

namespace Delora.Nn;

/// <summary>Reads the tokenizer files from before <c>tokenizer.json</c>: GPT-2's and BERT's.</summary>
internal static class OlderFiles
{
    /// <summary>Fields of <c>tokenizer_config.json</c> that name a special token.</summary>
    private static readonly string[] Roles = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

    /// <summary>
    /// <c>vocab.json</c> and <c>merges.txt</c>: byte-level BPE of transformers' classes <c>GPT2Tokenizer</c> and <c>RobertaTokenizer</c>. Other
    /// classes cut words otherwise, and are refused.
    /// </summary>
    /// <exception cref="DeloraFormatException">A file is wrong or not supported.</exception>
    public static PipelineTokenizer ReadGpt2(TokenizerFiles files, Action<string>? warn)
    {
        JsonFields? config = files.Fields(TokenizerFiles.Config);
        string tokenizer = ClassOf(config) ?? "GPT2Tokenizer";
        bool isRoberta = tokenizer == "RobertaTokenizer";
        if (!isRoberta && tokenizer != "GPT2Tokenizer")
            throw config!.Wrong("tokenizer_class",
                $"'{tokenizer}' is not supported with {TokenizerFiles.Vocabulary} and {TokenizerFiles.Merges}: save it as {TokenizerFiles.Json}.");
        if (files.Has(TokenizerFiles.Added))
            throw new DeloraFormatException(files.PathOf(TokenizerFiles.Added), null,
                $"is not supported with {TokenizerFiles.Vocabulary}: save the tokenizer as {TokenizerFiles.Json}.");
        string[] names = isRoberta ? ["<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"] : [BpeTrainer.EndOfText];
        string file = files.PathOf(TokenizerFiles.Vocabulary);
        var json = JsonFields.Parse(files.Bytes(TokenizerFiles.Vocabulary), file).Left;
        AddedToken[] added = Added(files, names, name =>
            json.GetValueOrDefault(name) is { ValueKind: JsonValueKind.Number } id && id.TryGetInt32(out int number) ? number : null);
        var vocabulary = VocabularyTable.Read(json, added, reason => new DeloraFormatException(file, null, reason));
        files.WarnOfAddedTokens(vocabulary.Names.Length, warn);
        bool prefixes = config?.Flag("add_prefix_space", false) == true;
        int? cls = PipelineReader.Find(vocabulary, NameOf(files, "cls_token") ?? "<s>");
        int? sep = PipelineReader.Find(vocabulary, NameOf(files, "sep_token") ?? "</s>");
        if (isRoberta && (cls is null || sep is null)) throw new DeloraFormatException(file, null, "has no <s> or no </s>.");
        var rules = new TokenizerRules(vocabulary.Specials)
        {
            BeginId = isRoberta ? cls : PipelineReader.Find(vocabulary, BpeTrainer.EndOfText),
            EndId = isRoberta ? sep : PipelineReader.Find(vocabulary, BpeTrainer.EndOfText),
            PadId = isRoberta ? PipelineReader.Find(vocabulary, "<pad>") : null,
            PrefixesSpace = prefixes,
            Template = isRoberta ? TokenTemplate.Roberta(cls!.Value, sep!.Value) : null,
        };
        WordSplitter splitter = prefixes ? WordSplitter.InOrder([new PrefixSpace(), new Gpt2Splitter()]) : new Gpt2Splitter();
        return new PipelineTokenizer(added, null, splitter, new ByteLevelModel(ByteLevelVocabulary.Of(vocabulary, () => ReadMerges(files, vocabulary))),
            TokenizerSpecials.Read(files, rules, warn), files.All);
    }

    /// <summary><c>vocab.txt</c>: WordPiece of transformers' class <c>BertTokenizer</c> and those that are the same.</summary>
    /// <exception cref="DeloraFormatException">A file is wrong or not supported.</exception>
    public static PipelineTokenizer ReadBert(TokenizerFiles files, Action<string>? warn)
    {
        JsonFields? config = files.Fields(TokenizerFiles.Config);
        if (ClassOf(config) is not (null or "BertTokenizer" or "DistilBertTokenizer" or "ElectraTokenizer") and var tokenizer)
            throw config!.Wrong("tokenizer_class", $"'{tokenizer}' is not supported with {TokenizerFiles.Words}: save it as {TokenizerFiles.Json}.");
        if (config?.Flag("do_basic_tokenize", true) == false) throw config.Wrong("do_basic_tokenize", "false is not supported.");
        if (config?.TryTake("never_split", out _) == true) throw config.Wrong("never_split", "is not supported.");
        if (files.Has(TokenizerFiles.Added))
            throw new DeloraFormatException(files.PathOf(TokenizerFiles.Added), null,
                $"is not supported with {TokenizerFiles.Words}: save the tokenizer as {TokenizerFiles.Json}.");
        bool lowercases = config?.Flag("do_lower_case", true) ?? true, splits = config?.Flag("tokenize_chinese_chars", true) ?? true;
        var normalizer = new BertNormalizer(true, splits, config?.Flag("strip_accents", lowercases) ?? lowercases, lowercases);

        string file = files.PathOf(TokenizerFiles.Words);
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (string line in Lines(files, TokenizerFiles.Words))
            if (line.Length == 0 || !ids.TryAdd(line, ids.Count))
                throw new DeloraFormatException(file, $"line {ids.Count + 1}", line.Length == 0 ? "is empty." : $"'{line}' is there twice.");
        AddedToken[] added = Added(files, ["[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"], name => ids.TryGetValue(name, out int id) ? id : null);
        var vocabulary = new VocabularyTable(ids, added, reason => new DeloraFormatException(file, null, reason));
        files.WarnOfAddedTokens(vocabulary.Names.Length, warn);
        int Id(string role, string otherwise) => PipelineReader.Find(vocabulary, NameOf(files, role) ?? otherwise)
            ?? throw new DeloraFormatException(file, null, $"has no {NameOf(files, role) ?? otherwise} ({role}).");
        var rules = new TokenizerRules(vocabulary.Specials)
        {
            PadId = PipelineReader.Find(vocabulary, "[PAD]"),
            Lowercases = lowercases,
            Template = TokenTemplate.Bert(Id("cls_token", "[CLS]"), Id("sep_token", "[SEP]")),
        };
        return new PipelineTokenizer(added, normalizer, new BertSplitter(),
            new WordPieceModel(vocabulary, Id("unk_token", "[UNK]"), "##", 100), TokenizerSpecials.Read(files, rules, warn), files.All);
    }

    /// <summary>The slow and the fast class of one name give the same ids.</summary>
    private static string? ClassOf(JsonFields? config) => config?.Text("tokenizer_class", null) is { } name
        ? name.EndsWith("Fast", StringComparison.Ordinal) ? name[..^4] : name
        : null;

    /// <summary>The token that a file gives a role; null where none does.</summary>
    private static string? NameOf(TokenizerFiles files, string role)
    {
        foreach (string file in (string[])[TokenizerFiles.Config, TokenizerFiles.Map])
            if (files.Fields(file) is { } fields && TokenizerFiles.TokenName(fields, role) is { } name)
                return name;
        return null;
    }

    /// <summary>The special tokens: those of the class and those that files name, as far as they are in the vocabulary.</summary>
    private static AddedToken[] Added(TokenizerFiles files, string[] names, Func<string, int?> idOf) =>
        [.. names.Concat(Roles.Select(role => NameOf(files, role)).OfType<string>()).Distinct()
            .Select(name => (Name: name, Id: idOf(name))).Where(entry => entry.Id is not null)
            // RoBERTa's mask takes the space before it along.
            .Select(entry => new AddedToken(entry.Name, entry.Id!.Value, Special: true, TakesLeft: entry.Name == "<mask>"))];

    private static MergeReader ReadMerges(TokenizerFiles files, VocabularyTable vocabulary)
    {
        string file = files.PathOf(TokenizerFiles.Merges);
        var reader = new MergeReader(vocabulary, (field, reason) => new DeloraFormatException(file, field, reason));
        foreach ((int index, string line) in Lines(files, TokenizerFiles.Merges).Index())
            if (line.Length > 0 && !(index == 0 && line.StartsWith("#version", StringComparison.Ordinal)))
                reader.Add($"line {index + 1}", line.Split(' '), $"'{line}'");
        return reader;
    }

    /// <summary>The lines of a text file, without what ends them; the empty one behind the last end is none.</summary>
    private static string[] Lines(TokenizerFiles files, string name)
    {
        string text = StrictUtf8.Decode(files.Bytes(name), files.PathOf(name));
        string[] lines = [.. text.Split('\n').Select(line => line.EndsWith('\r') ? line[..^1] : line)];
        return lines[^1].Length == 0 ? lines[..^1] : lines;
    }
}
